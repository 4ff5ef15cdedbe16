// An explanation for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

// First line: "allowed" or "denied". Then the flow, the reason in a sentence, and for each end its verdict, the
// policies behind it, and for a denial the rules that come nearest to allowing it.
std::string ExplanationText(const v1::Explanation& explanation);

}  // namespace sluice::client
