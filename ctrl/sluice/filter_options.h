// The filter flags of `observe` and `capture` on the command line.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>

#include "ctrl/sluice/observe_request.h"

namespace sluice::client {

// Each flag is handled as it is typed, so that --not applies to the next one.
void AddFilterOptions(CLI::App* verb, const std::shared_ptr<ObserveOptions>& options);

}  // namespace sluice::client
