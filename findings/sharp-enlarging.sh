#!/usr/bin/env bash
# sharp 0.35.5 (Node 20.20.2, linux-x64, 2026-11-28): enlarging is not centred. A picture that is its own mirror image comes out of
# resize(8, 8, { kernel: 'lanczos3', fit: 'fill' }) unlike its mirror image when it had 4 x 4 pixels, and like it when it had 16 x 16: pixel
# centres are where they should be for smaller pictures and not for larger ones.
# Seen: enlarging 4 -> 8 differs from its mirror image by up to 100 of 255, shrinking 16 -> 8 by 0.
# Fails when enlarging has become symmetric (to 2 of 255) or shrinking no longer is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund sharp@0.35.5
cat > run.mjs <<'JS'
import sharp from 'sharp';
async function asymmetry(from, to) {
  // Columns go from dark to light to dark: the left half mirrors the right.
  const pixels = Uint8Array.from({ length: from * from * 3 }, (_, i) => {
    const x = Math.floor(i / 3) % from;
    return Math.round((200 * Math.min(x, from - 1 - x)) / (from / 2 - 1)) + 20;
  });
  const out = await sharp(pixels, { raw: { width: from, height: from, channels: 3 } })
    .resize(to, to, { kernel: 'lanczos3', fit: 'fill' })
    .raw()
    .toBuffer();
  let worst = 0;
  for (let x = 0; x < to; x++) worst = Math.max(worst, Math.abs(out[3 * x] - out[3 * (to - 1 - x)]));
  return worst;
}
const [enlarged, shrunk] = [await asymmetry(4, 8), await asymmetry(16, 8)];
console.log(`enlarging 4 -> 8 differs from its mirror image by up to ${enlarged} of 255, shrinking 16 -> 8 by ${shrunk}`);
process.exit(enlarged > 2 && shrunk <= 2 ? 0 : 1);
JS
node run.mjs
