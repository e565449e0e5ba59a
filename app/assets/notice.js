element.addEventListener('click', (event) => {
  if (event.target.closest('[data-close]')) props.value = '';
  if (event.target.closest('[data-cancel]')) trigger('select', {});
});
// What is done is read aloud once, and not again with every second.
const live = document.createElement('div');
live.className = 'fv-live';
live.setAttribute('role', 'status');
document.body.append(live);
let last = '';
const tell = () => {
  const busy = element.querySelector('.fv-busy span');
  const words = busy ? busy.textContent.split(' …')[0] : '';
  if (words !== last) live.textContent = last = words;
};
new MutationObserver(tell).observe(element, { childList: true, subtree: true, characterData: true });
tell();
