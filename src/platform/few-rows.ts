/**
 * SQL: a condition on a column of numbers that every row passes and that the planner takes to leave one row in a hundred or fewer. For the
 * rows that a statement brings along (`unnest($1)`, `json_to_recordset($1)`): of these Postgres supposes 10 or 100, never asks again
 * (the plan of a prepared statement is kept until the table is analyzed), and of a table that was small when a process met it
 * would read every row, by a plan that is still used when it has a hundred thousand. Supposing one, it looks each up in its index. Not for rows
 * that the statement then joins to its own by the hundred: these it would compare each with each.
 */
export const fewRows = (column: string): string => `${column} + 0 = ${column}`;
