// Pictures: the value under the pointer is read out, a click picks the point, opacity is a style,
// and a map can be enlarged.
const at = (event) => {
  const stack = event.target.closest('[data-point]');
  if (!stack) return null;
  const box = stack.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width;
  const y = (event.clientY - box.top) / box.height;
  const values = stack.dataset.values ? JSON.parse(stack.dataset.values) : [];
  const cell = (k) => Math.min(values.length - 1, Math.max(0, Math.floor(k * values.length)));
  stack.querySelector('output').textContent = values.length ? values[cell(y)][cell(x)] : '';
  return { x, y };
};
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
