/** Index of the span that holds `seconds`, in spans sorted by start; -1 in a gap or outside. */
export function indexAt(spans: readonly { start: number; end: number }[], seconds: number): number {
  let low = 0;
  let high = spans.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const span = spans[middle];
    if (!span) return -1;
    if (seconds < span.start) high = middle - 1;
    else if (seconds >= span.end) low = middle + 1;
    else return middle;
  }
  return -1;
}
