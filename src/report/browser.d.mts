/** Programs for browsers: the studio's page, and the script of a live report. */
export type BrowserProgram = 'studio' | 'report';
export function builtProgram(name: BrowserProgram): string;
export function ensureProgram(name: BrowserProgram): Promise<string>;
