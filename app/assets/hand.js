// A page selects its first tab when it opens, too; only a hand's choice counts.
document.addEventListener('click', (event) => {
  if (event.isTrusted && event.target.closest('.fv-tabs')) window.featvisHand = true;
}, true);
// The other language shows what is shown now.
document.addEventListener('click', (event) => {
  const link = event.target.closest('.fv-languages a');
  if (!link) return;
  event.preventDefault();
  const query = new URLSearchParams(location.search);
  query.set('lang', link.lang);
  location.search = query;
});
document.addEventListener('click', (event) => {
  if (!event.target.closest('.fv-skip')) return;
  event.preventDefault();
  const tab = document.querySelector('#fv-stage [role=tab][aria-selected=true]');
  if (tab) tab.focus();
});
