// Tiles and rows: a click, or Enter, picks [data-pick]; the arrow keys move the focus.
element.addEventListener('click', (event) => {
  const tile = event.target.closest('[data-pick]');
  if (!tile) return;
  const name = tile.hasAttribute('aria-selected') ? 'aria-selected' : 'aria-pressed';
  element.querySelectorAll(`[${name}=true]`).forEach((other) => other.setAttribute(name, 'false'));
  tile.setAttribute(name, 'true');
  trigger('select', { pick: tile.dataset.pick });
});
element.addEventListener('keydown', (event) => {
  const tile = event.target.closest('[data-pick]');
  if (!tile) return;
  const all = [...(tile.closest('[role=group], [role=listbox]') || element).querySelectorAll('[data-pick]')];
  const row = all.findIndex((other) => other.offsetTop > all[0].offsetTop);
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row < 1 ? 1 : row, ArrowUp: row < 1 ? -1 : -row };
  const next = all[all.indexOf(tile) + (step[event.key] || 0)];
  if (!step[event.key]) return;
  event.preventDefault();
  if (next) next.focus();
});
