// A page selects its first tab when it opens, too; only a hand's choice counts.
document.addEventListener('click', (event) => {
  if (event.isTrusted && event.target.closest('.fv-tabs')) window.featvisHand = true;
}, true);
