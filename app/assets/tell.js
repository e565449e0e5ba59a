// What is under the pointer, or has the focus, is read out below.
for (const kind of ['pointerover', 'focusin']) {
  element.addEventListener(kind, (event) => {
    const cell = event.target.closest('[data-tell]');
    if (cell) cell.closest('section').querySelector('.fv-told').textContent = cell.title;
  });
}
