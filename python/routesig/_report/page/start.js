// Everything begins here. Figures wait until they come into view.

startTheme();
startPrinting();
startTips();
startMaps();
startBaselines();
startLayers();
startSources();
startReading();
startTokens();
startAgreement();
startCompare();
startLoad().then(startCharts);
