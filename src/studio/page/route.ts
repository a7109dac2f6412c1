/** Where in the studio one is: kept in the address, so that back and forward work and a place can be kept. */

/** A view of a source, and in it a set's row, a texture or a method. */
export interface Route {
  readonly view: string;
  readonly source: string;
  /** Row of the source's set of NCAs. */
  readonly row: number | null;
  /** Set that the row is of: a source may have several. */
  readonly set: string | null;
}

/** The route in the address. */
export function currentRoute(): Partial<Route> {
  const [view, source, set, row] = location.hash.replace(/^#\/?/, '').split('/').map(decoded);
  return {
    ...(view && { view }),
    ...(source && { source }),
    ...(set && { set }),
    ...(row && /^\d+$/.test(row) && { row: Number(row) }),
  };
}

/** A part of the address; nothing where it cannot be read. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

/** The address of a route. */
export const hrefOf = ({ view, source, set, row }: Route): string =>
  `#/${[view, source, ...(set === null ? [] : [set, ...(row === null ? [] : [row])])].map(encodeURIComponent).join('/')}`;

/** Goes there. */
export const goTo = (route: Route): void => {
  location.hash = hrefOf(route);
};
