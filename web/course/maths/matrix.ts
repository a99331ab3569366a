/** Small matrices of numbers, row by row. */
export type Matrix = readonly (readonly number[])[];
/** Row and column, from 0. */
export type Place = readonly [row: number, column: number];

export function make(rows: number, columns: number, value: (row: number, column: number) => number): number[][] {
  return Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => value(row, column)));
}

export function map(matrix: Matrix, change: (value: number, row: number, column: number) => number): number[][] {
  return matrix.map((line, row) => line.map((value, column) => change(value, row, column)));
}

/** The same matrix with one other number. */
export function replaced(matrix: Matrix, [row, column]: Place, value: number): number[][] {
  return map(matrix, (old, r, c) => (r === row && c === column ? value : old));
}

/** Turned by 180 degrees. */
export function turned(matrix: Matrix): number[][] {
  return [...matrix].reverse().map((line) => [...line].reverse());
}

export function sum(matrix: Matrix): number {
  return matrix.flat().reduce((total, value) => total + value, 0);
}

export function largest(matrix: Matrix): number {
  return Math.max(0, ...matrix.flat().map(Math.abs));
}

export function isSame(a: Matrix, b: Matrix): boolean {
  return a.length === b.length && a.every((line, r) => line.every((value, c) => value === b[r]![c]));
}
