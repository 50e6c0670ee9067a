// What a selected stretch comes to.

export function Selection() {
  return null;
}
