/** HTML made of escaped pieces: text is escaped unless it is itself `Html`. */

import { escapeMarkup } from '../formats/index.ts';

/** Markup that is safe to put into a page as it stands. Made by `html`, or by `raw` from markup of the project itself. */
export class Html {
  constructor(readonly source: string) {}
}

type Piece = Html | string | number | null | undefined | false | readonly Piece[];

const render = (piece: Piece): string => {
  if (piece === null || piece === undefined || piece === false) return '';
  if (piece instanceof Html) return piece.source;
  if (Array.isArray(piece)) return piece.map(render).join('');
  return escapeMarkup(String(piece));
};

/** Tagged template: html`<p>${text}</p>`. */
export const html = (strings: TemplateStringsArray, ...pieces: Piece[]): Html =>
  new Html(strings.reduce((source, part, i) => source + render(pieces[i - 1]) + part));

/** Markup made elsewhere by the project itself, such as a rendered SVG. */
export const raw = (source: string): Html => new Html(source);
