element.addEventListener('click', (event) => {
  if (event.target.closest('[data-close]')) props.value = '';
  if (event.target.closest('[data-cancel]')) trigger('select', {});
});
