/** The fridge, with two magnets that make the smallest flowchart there is. */
export function Logo({ size = 36 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect x="6" y="1.5" width="20" height="27" rx="5" fill="#7cc9d6" stroke="var(--logo-edge)" strokeWidth="1.6" />
      <path d="M6.8 11V7a4.7 4.7 0 0 1 4.7-4.7h5" fill="none" stroke="#c9eef3" strokeWidth="1.2" />
      <path d="M6.5 11h19" stroke="#0b4a58" strokeWidth="1.6" />
      <path d="M10 28.9v1.6M22 28.9v1.6" stroke="var(--logo-edge)" strokeWidth="2" strokeLinecap="round" />
      <path d="M10 5.4v2.6M10 14.4v5" stroke="#0b4a58" strokeWidth="2" strokeLinecap="round" />
      <path d="M16.5 16.8h2.3a2 2 0 0 1 2 2v2.4" fill="none" stroke="#0b4a58" strokeWidth="1.2" />
      <circle cx="15.3" cy="16.8" r="2" fill="#ff8a5c" />
      <rect x="18.9" y="21" width="3.8" height="3.8" rx="0.9" fill="#fff4c7" />
    </svg>
  );
}

/** The open fridge of the empty page: three glass shelves, waiting. */
export function OpenFridge() {
  return (
    <svg width="150" height="130" viewBox="0 0 150 130" aria-hidden="true" focusable="false">
      <path d="M84 8l48 10v94l-48 6z" fill="#a9dbe4" stroke="var(--logo-edge)" strokeWidth="2" strokeLinejoin="round" />
      <path d="M124 60v16" stroke="#0b4a58" strokeWidth="3.4" strokeLinecap="round" />
      <path d="M92 44l32 2M92 78l32-1" stroke="#ffffff" strokeWidth="2.4" strokeLinecap="round" />
      <rect x="18" y="8" width="66" height="110" rx="9" fill="#7cc9d6" stroke="var(--logo-edge)" strokeWidth="2" />
      <rect x="25" y="15" width="52" height="94" rx="5" fill="#f4fbfc" />
      <path d="M25 42h52M25 69h52M25 92h52" stroke="#9fd3de" strokeWidth="2.6" />
      <circle cx="51" cy="21" r="2.4" fill="#ffe08a" />
      <rect x="33" y="55" width="14" height="12" rx="3" fill="#ff8a5c" opacity="0.85" />
      <path d="M36 58.5v5M40 57v8M44 59v4" stroke="#fff" strokeWidth="1.6" strokeLinecap="round" />
      <path d="M30 118v5M72 118v5" stroke="var(--logo-edge)" strokeWidth="3.4" strokeLinecap="round" />
    </svg>
  );
}
