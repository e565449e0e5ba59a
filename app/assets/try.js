element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-try]');
  if (button) trigger('select', { try: button.dataset.try });
});
