/** sharp reads and writes pictures; its library for this platform is an optional package, which `npm install --omit=optional` leaves out. */

/** What to do about it when an error says that sharp did not load; undefined for any other error. */
export const sharpMissing = (error: unknown): string | undefined =>
  error instanceof Error && /Could not load the "sharp" module/.test(error.message)
    ? `sharp: expected its library for ${process.platform}-${process.arch}, found none. Install it with npm install --include=optional.`
    : undefined;

/** "0.35.5", or why no picture can be read or written here. */
export async function sharpState(): Promise<string> {
  try {
    const { default: sharp } = await import('sharp');
    return `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
  } catch (error) {
    return sharpMissing(error) ?? String(error).split('\n')[0];
  }
}
