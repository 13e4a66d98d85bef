'use strict';

module.exports = {
  eslint: { ignoreDuringBuilds: true },
  typescript: { ignoreBuildErrors: true },
  generateBuildId: () => 'httpsys',
  images: { formats: ['image/webp'] },
};
