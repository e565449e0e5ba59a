// The button that deletes an upload.
element.addEventListener('click', (event) => {
  if (event.target.closest('[data-delete]')) trigger('select', {});
});
