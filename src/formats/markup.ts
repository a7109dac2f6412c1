const ENTITIES: Record<string, string> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text made safe to stand in XML or HTML, attribute values included. */
export const escapeMarkup = (text: string): string => text.replace(/[<>&"']/g, c => ENTITIES[c]);
