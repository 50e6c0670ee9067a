// The charts, one below the other on one time axis.

export function Charts() {
  return <section id="charts" class="charts" aria-label="Charts" />;
}
