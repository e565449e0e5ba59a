// The address of the page follows the state; links and files are made from it.
const say = (text) => { element.querySelector('output').textContent = text; };
const address = () => {
  const query = new URLSearchParams(props.value || '');
  const theme = new URLSearchParams(location.search).get('__theme');
  if (theme) query.set('__theme', theme);
  return location.pathname + '?' + query.toString().replace(/%3A/g, ':').replace(/%2C/g, ',').replace(/%2F/g, '/');
};
const shown = () => {  // only what is made step by step can be animated
  const tab = new URLSearchParams(props.value || '').get('tab');
  const button = element.querySelector('[data-do=moving]');
  if (button) button.hidden = !['Synthesis', 'DeepDream'].includes(tab);
};
watch('value', () => { shown(); if (props.value) history.replaceState(null, '', address()); });
shown();
const copy = async (text) => {
  try { await navigator.clipboard.writeText(text); } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
};
element.addEventListener('click', async (event) => {
  const what = event.target.dataset.do;
  if (!what || !props.value) return;
  if (what === 'copy') {
    await copy(location.origin + address());
    say('The link is copied');
    return;
  }
  say('Making the file …');
  const made = await server.save({ query: props.value, kind: what });
  say(made.error || made.name);
  if (made.error) return;
  const link = document.createElement('a');
  link.href = made.url;
  link.download = made.name;
  link.click();
});
