// Compares goals with a run's figures, as text and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "perf/suite.h"

namespace sluice::perf {

using Reports = std::vector<std::pair<std::string, Report>>;  // by suite, in the order of the run

// Prints every goal with its figure, and met or missed with the reason; a goal whose rows are missing is "not
// measured".
void PrintGoals(const Reports& reports, std::ostream& out);
nlohmann::json GoalsToJson(const Reports& reports);

}  // namespace sluice::perf
