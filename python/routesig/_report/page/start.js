// Everything begins here. Figures wait until they come into view.

startTheme();
startTips();
startMaps();
startBaselines();
startLayers();
startSources();
startReading();
startTokens();
startCompare();
startLoad().then(startCharts);
