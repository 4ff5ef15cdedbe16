#include "ctrl/kube/environment.h"

#include <memory>
#include <random>

namespace sluice::kube {

Environment RealEnvironment() {
  auto source = std::make_shared<std::mt19937_64>(std::random_device()());
  return {.now = [] { return std::chrono::steady_clock::now(); },
          .wall = [] { return std::chrono::system_clock::now(); },
          .random = [source] { return std::uniform_real_distribution<double>(0.0, 1.0)(*source); }};
}

}  // namespace sluice::kube
