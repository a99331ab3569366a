/** Numbers as Python writes them: exact, halves to even. `toFixed` alone rounds halves up. */
export function fixed(value: number, digits: number): string {
  const [whole, rest] = cut(value.toFixed(100), digits);
  if (!/^50*$/.test(rest)) return value.toFixed(digits);
  const isEven = Number(whole.at(-1)) % 2 === 0;
  return isEven ? whole.replace(/\.$/, "") : value.toFixed(digits);
}

/** The digits that stay, and those behind them. */
function cut(decimal: string, digits: number): [string, string] {
  const point = decimal.indexOf(".");
  const end = point + (digits ? 1 + digits : 0);
  return [decimal.slice(0, end), decimal.slice(point + 1 + digits)];
}
