// Pictures: the value under the pointer is read out, a click picks the point, opacity is a style,
// and a map can be enlarged.
const at = (event) => {
  const stack = event.target.closest('[data-point]');
  if (!stack) return null;
  const box = stack.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width;
  const y = (event.clientY - box.top) / box.height;
  read(stack, x, y);
  return { x, y };
};
const read = (stack, x, y) => {
  const values = stack.dataset.values ? JSON.parse(stack.dataset.values) : [];
  const cell = (k) => Math.min(values.length - 1, Math.max(0, Math.floor(k * values.length)));
  stack.querySelector('output').textContent = values.length ? values[cell(y)][cell(x)] : '';
};
// By keyboard: the arrow keys move a mark, Enter picks its place.
element.addEventListener('keydown', (event) => {
  const stack = event.target.closest('[data-point]');
  const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
  if (!stack || event.target !== stack || !(step || event.key === 'Enter')) return;
  event.preventDefault();
  const aim = stack.querySelector('.fv-aim');
  const place = [aim.dataset.x, aim.dataset.y].map((v, i) => {
    const moved = Number(v ?? 0.5) + (step ? step[i] / 20 : 0);
    return Math.min(0.99, Math.max(0.01, moved));
  });
  [aim.dataset.x, aim.dataset.y] = place;
  aim.hidden = false;
  [aim.style.left, aim.style.top] = place.map((v) => `${100 * v}%`);
  if (!step) trigger('select', { x: place[0], y: place[1] });
  else read(stack, ...place);
});
element.addEventListener('mousemove', at);
element.addEventListener('mouseout', (event) => {
  const stack = event.target.closest('[data-point]');
  if (stack) stack.querySelector('output').textContent = '';
});
element.addEventListener('click', (event) => {
  const large = event.target.closest('[data-large]');
  if (large) large.closest('figure').classList.toggle('large');
  const point = at(event);
  if (point) trigger('select', point);
});
element.addEventListener('input', (event) => {
  if (event.target.type === 'range') element.style.setProperty('--opacity', event.target.value);
});
