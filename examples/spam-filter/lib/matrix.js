const { Matrix } = require("ml-matrix");

/**
 * @param {{at: number[], values: number[]}[]} rows sparse rows, as the step `features` writes them
 * @returns {Matrix} the same, dense
 */
function dense(rows, columns) {
  const matrix = Matrix.zeros(rows.length, columns);
  for (const [row, { at, values }] of rows.entries()) {
    for (const [i, column] of at.entries()) matrix.set(row, column, values[i]);
  }
  return matrix;
}

module.exports = { dense };
