'use strict';
// Draws the charts in place of their still pictures, which stay for print and without a script.
(() => {
  // As in rendering.py, which says what these are.
  const SPACING = 26, AXIS = 60;
  const root = document.documentElement;
  const isDark = matchMedia('(prefers-color-scheme: dark)');
  const frames = [...document.querySelectorAll('.frame[data-name]')].map((frame) => ({
    frame,
    live: frame.querySelector('.live'),
    text: frame.querySelector('script').textContent,
    width: 0,
    view: null,
  }));
  let theme = null;

  const units = (spec) => {
    const nested = ['concat', 'hconcat', 'vconcat'].flatMap((key) => spec[key] ?? []);
    return nested.length ? nested.flatMap(units) : [spec];
  };
  const widen = (spec, width) => {
    for (const unit of units(spec)) unit.width = Math.max(40, Math.floor(width));
  };

  // Colors on dark paper, wherever they stand: configuration, marks and scales.
  const themed = (text) =>
    isDark.matches ? text.replace(/#[0-9a-f]{6}\b/g, (color) => theme.dark[color] ?? color) : text;

  const embed = (one, spec) =>
    vegaEmbed(one.live, spec, {
      ast: true,
      renderer: 'svg',
      actions: false,
      defaultStyle: false,
      tooltip: { disableDefaultStyle: true, theme: 'page' },
      config: JSON.parse(themed(JSON.stringify(theme.config))),
    });

  // Axes take what their labels need: the chart is drawn once to measure that.
  const redraw = async (one) => {
    one.width = one.frame.clientWidth;
    one.live.dataset.hidden = '';
    one.frame.classList.add('is-live');
    const room = one.live.clientWidth;
    const spec = JSON.parse(themed(one.text));
    const { columns, least, entry } = spec.usermeta;
    spec.config = { legend: { columns: Math.max(1, Math.floor(room / entry)) } };
    const fitting = Math.floor((room + SPACING) / (least + SPACING));
    spec.columns = Math.max(1, Math.min(columns, spec.concat.length, fitting));
    let own = (room - (spec.columns - 1) * SPACING) / spec.columns - AXIS;
    // Other widths may have other ticks, whose labels take more: then once again.
    for (let turn = 0, drawn = Infinity; turn < 2 || (turn < 4 && drawn > room + 1); turn += 1) {
      if (turn) own += (room - drawn) / spec.columns;
      widen(spec, own);
      one.view?.finalize();
      one.view = await embed(one, spec);
      drawn = one.live.querySelector('svg').viewBox.baseVal.width;
    }
  };

  // A chart in a closed fold has no width; it is drawn when the fold opens. Paper has stills.
  const isShown = (one) => one.frame.clientWidth > 0 && !matchMedia('print').matches;

  const draw = async (one) => {
    if (!isShown(one)) return;
    try {
      await redraw(one);
    } catch (error) {
      // Its still picture comes back, and the others go on.
      one.frame.classList.remove('is-live');
      console.error(one.frame.dataset.name, error);
    }
  };

  // A name in the legend hides and shows all that is drawn of it.
  const toggle = (one) => ({ target }) => {
    const name = target.closest('.role-legend-entry') && target.__data__?.datum?.value;
    if (name === undefined || name === null) return;
    const isHidden = one.live.dataset.hidden?.split('\n').includes(name);
    const hidden = (one.live.dataset.hidden?.split('\n') ?? []).filter((other) => other !== name);
    one.live.dataset.hidden = [...hidden, ...(isHidden ? [] : [name])].join('\n');
    for (const node of one.live.querySelectorAll('svg *')) {
      const datum = node.__data__?.datum;
      const opacity = isHidden ? '' : node.closest('.role-legend-entry') ? '0.35' : '0';
      if ((datum?.arm ?? datum?.value) === name) node.style.opacity = opacity;
    }
  };

  const save = (one) => async () => {
    const link = document.createElement('a');
    link.href = await one.view.view.background(isDark.matches ? theme.dark['#ffffff'] : '#ffffff')
      .toImageURL('png', 2);
    link.download = `${one.frame.dataset.name}.png`;
    link.click();
  };

  const load = async () => {
    theme = JSON.parse(document.getElementById('theme').textContent);
    const packed = document.getElementById('vega').textContent.trim();
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
      one.frame.querySelector('.save').addEventListener('click', save(one));
      one.live.addEventListener('click', toggle(one));
      // Lets the page answer between two charts.
      await new Promise((resolve) => setTimeout(resolve));
    }
    let waiting = null;
    const again = async (isNeeded) => {
      for (const one of frames) if (isNeeded(one)) await draw(one);
    };
    const watch = new ResizeObserver(() => {
      clearTimeout(waiting);
      waiting = setTimeout(
        () => again((one) => one.width !== one.frame.clientWidth), 100,
      );
    });
    frames.forEach((one) => watch.observe(one.frame));
    isDark.addEventListener('change', () => again(() => true));
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
