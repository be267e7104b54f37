'use strict';
// Draws the figures in place of their still pictures, which stay for print and without a script.
(() => {
  const NARROW_PIXELS = 560;
  const root = document.documentElement;
  const frames = [...document.querySelectorAll('.frame[data-name]')].map((frame) => ({
    frame,
    live: frame.querySelector('.live'),
    text: frame.querySelector('script').textContent,
    isNarrow: null,
    width: 0,
  }));

  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const ofPage = (name) => channels(getComputedStyle(root).getPropertyValue(name).trim());
  const between = (from, to, share) =>
    `rgb(${from.map((value, i) => Math.round(value + (to[i] - value) * share))})`;

  // Grays run from the page's ink to its paper, so that a figure follows the theme; on dark
  // paper colors are a little lighter.
  const themed = () => {
    const [ink, paper] = [ofPage('--ink'), ofPage('--page')];
    const lift = ink[0] > paper[0] ? 0.2 : 0;
    return (key, value) => {
      if (!/color$/i.test(key) || !/^#[0-9a-f]{6}$/i.test(value)) return value;
      const color = channels(value);
      const isGray = color.every((channel) => channel === color[0]);
      return isGray ? between(ink, paper, color[0] / 255) : between(color, ink, lift);
    };
  };

  const save = (one) => () => {
    const { data, wide } = JSON.parse(one.text);
    const size = { width: 960, height: wide.height, scale: 2 };
    const layout = { ...wide, paper_bgcolor: '#ffffff' };
    Plotly.downloadImage({ data, layout }, { format: 'png', filename: one.frame.dataset.name, ...size });
  };

  const redraw = (one) => {
    one.width = one.frame.clientWidth;
    one.isNarrow = one.width < NARROW_PIXELS;
    const { data, wide, narrow } = JSON.parse(one.text, themed());
    const button = { name: 'Save as PNG', icon: Plotly.Icons.camera, click: save(one) };
    const bar = { modeBarButtons: [[button]], displayModeBar: one.isNarrow ? false : 'hover' };
    one.frame.classList.add('is-live');
    return Plotly.react(one.live, data, one.isNarrow ? narrow : wide, { displaylogo: false, ...bar });
  };

  const draw = async (one) => {
    try {
      await redraw(one);
    } catch (error) {
      // Its still picture comes back, and the others go on.
      one.frame.classList.remove('is-live');
      console.error(one.frame.dataset.name, error);
    }
  };

  const fit = (one) => {
    const width = one.frame.clientWidth;
    if (one.isNarrow === null || width === one.width || !one.live.clientWidth) return;
    if (width < NARROW_PIXELS !== one.isNarrow) return draw(one);
    one.width = width;
    return Plotly.Plots.resize(one.live);
  };

  const load = async () => {
    const packed = document.getElementById('plotly').textContent.trim();
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    const script = document.createElement('script');
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
  };

  const start = async () => {
    await load();
    for (const one of frames) {
      await draw(one);
      // Lets the page answer between two figures.
      await new Promise((resolve) => setTimeout(resolve));
    }
    const watch = new ResizeObserver((seen) => {
      for (const { target } of seen) fit(frames.find((one) => one.frame === target));
    });
    frames.forEach((one) => watch.observe(one.frame));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => frames.forEach(draw));
    root.dataset.figures = 'live';
  };

  // In a frame without an address of its own a link to a heading would lead to the page around it.
  if (location.protocol === 'about:') {
    document.addEventListener('click', (event) => {
      const link = event.target.closest('a[href^="#"]');
      if (!link) return;
      event.preventDefault();
      document.getElementById(link.getAttribute('href').slice(1)).scrollIntoView();
    });
  }

  start().catch((error) => {
    // The still pictures remain; the console says why.
    root.dataset.figures = 'still';
    console.error(error);
  });
})();
