"""Takes the picture of the report that the README shows: the top of the page, of the shipped model and prompts.

.venv/bin/python scripts/report_screenshot.py     # writes docs/images/report.png; needs Chromium; about two minutes
"""

import io
import shutil
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

import routesig as rs

PICTURE = Path(__file__).resolve().parents[1] / "docs/images/report.png"
WIDTH, HEIGHT, BELOW = 1200, 1000, 28  # pixels
FLAGS = ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars", "force-device-scale-factor=1")


def main():
    traces = rs.record(rs.load_model(), rs.load_prompts(), rotated_routers=20, progress=False)
    untrained = [rs.record(rs.load_model(random_weights=seed), traces, progress=False) for seed in range(19)]
    with tempfile.TemporaryDirectory() as folder:
        page = rs.study(traces, controls={"random weights": untrained}).report(Path(folder) / "report.html")
        shot = photographed(page, folder)
    shot.convert("RGB").save(PICTURE, optimize=True)
    print(f"docs/images/{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


def photographed(page, folder):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={folder}/profile")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        metrics = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get(page.as_uri())
        ready = "return document.documentElement.dataset.ready"
        WebDriverWait(driver, 60).until(lambda _: driver.execute_script(ready))
        time.sleep(0.5)  # for the small picture to be drawn
        end = driver.execute_script("return document.getElementById('top').getBoundingClientRect().bottom")
        whole = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
        return whole.crop((0, 0, WIDTH, min(HEIGHT, round(end) + BELOW)))
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
