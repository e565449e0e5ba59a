// The address of the page follows the state; links and files are made from it.
const [copied, making] = [...element.querySelectorAll('[data-said]')].map((one) => one.dataset.said);
const say = (text) => { element.querySelector('output').textContent = text; };
const address = () => {
  const query = new URLSearchParams(props.value || '');
  query.delete('title');  // of the page, and no part of the link
  for (const own of ['__theme', 'lang']) {
    const value = new URLSearchParams(location.search).get(own);
    if (value) query.set(own, value);
  }
  return location.pathname + '?' + query.toString().replace(/%3A/g, ':').replace(/%2C/g, ',').replace(/%2F/g, '/');
};
// In a Space the page stands in a frame of huggingface.co, whose address is the one to share.
const space = element.querySelector('.fv-export').dataset.space;
const shared = () => {
  const [path, query] = address().split('?');
  return (space ? `https://huggingface.co/spaces/${space}` : location.origin + path) + '?' + query;
};
const shown = () => {  // only what is made step by step can be animated
  const tab = new URLSearchParams(props.value || '').get('tab');
  const button = element.querySelector('[data-do=moving]');
  if (button) button.hidden = !['Synthesis', 'DeepDream'].includes(tab);
};
watch('value', () => {
  shown();
  if (!props.value) return;
  history.replaceState(null, '', address());
  document.title = `${new URLSearchParams(props.value).get('title')} · featvis`;
  if (space && window.parent !== window) {
    window.parent.postMessage({ queryString: address().split('?')[1], hash: '' }, 'https://huggingface.co');
  }
});
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
    await copy(shared());
    say(copied);
    return;
  }
  say(making);
  const made = await server.save({ query: props.value, kind: what, lang: document.documentElement.lang });
  say(made.error || made.name);
  if (made.error) return;
  const link = document.createElement('a');
  link.href = made.url;
  link.download = made.name;
  link.click();
});
