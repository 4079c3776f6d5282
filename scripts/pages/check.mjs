// Copyright (c) 2026 tritonops.trtllm contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Usage: check.mjs CHROMIUM OUTPUT PAGE...
// Validates pages, checks them with axe in a browser at the width of a phone and of a desktop, light and dark, and writes a
// screenshot of each to the folder OUTPUT.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(join(process.cwd(), "node_modules", "x")));
const axe = require.resolve("axe-core/axe.min.js");
const puppeteer = require("puppeteer-core");
const { HtmlValidate } = require("html-validate");

const [chromium, output, ...pages] = process.argv.slice(2);
// Pixels of a screenshot; the documentation shows the beginning of a long page.
const HIGHEST = 2300;
const widths = { phone: 390, desktop: 1280 };
const validator = new HtmlValidate({
  // How the tags are written (style, such as a trailing slash in SVG) does not matter.
  extends: ["html-validate:standard", "html-validate:a11y"],
  rules: { "no-inline-style": "off", "void-style": "off" },
});
const problems = [];

async function validate(path) {
  const report = await validator.validateString(readFileSync(path, "utf8"), path);
  for (const { messages } of report.results) {
    for (const { line, column, ruleId, message } of messages) {
      problems.push(`${path}:${line}:${column}: ${message} (${ruleId})`);
    }
  }
}

async function check(browser, path, device, scheme) {
  const page = await browser.newPage();
  const where = `${basename(path)}, ${device}, ${scheme}`;
  page.on("pageerror", (error) => problems.push(`${where}: ${error}`));
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) problems.push(`${where}: requests ${request.url()}`);
  });
  await page.setBypassCSP(true);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width: widths[device], height: 844, deviceScaleFactor: 1, isMobile: device === "phone" });
  await page.goto(pathToFileURL(path).href);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) problems.push(`${where}: the page is ${wide} pixels wider than the screen`);
  if (scheme === "light") {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    const clip = { x: 0, y: 0, width: widths[device], height: Math.min(height, HIGHEST) };
    await page.screenshot({ path: join(output, `${basename(path, ".html")}-${device}.png`), clip });
  }
  await page.addScriptTag({ path: axe });
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  if (passes.length === 0) problems.push(`${where}: axe checked nothing`);
  for (const { id, help, nodes } of violations) {
    problems.push(`${where}: ${help} (${id}): ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
  }
  await page.close();
  return passes.length;
}

const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });
try {
  for (const path of pages) {
    await validate(path);
    for (const device of Object.keys(widths)) {
      for (const scheme of ["light", "dark"]) {
        const passed = await check(browser, path, device, scheme);
        console.log(`${basename(path)}: ${device}, ${scheme}: ${passed} rules of axe passed`);
      }
    }
  }
} finally {
  await browser.close();
}
for (const problem of problems) console.error(problem);
process.exit(problems.length ? 1 : 0);
