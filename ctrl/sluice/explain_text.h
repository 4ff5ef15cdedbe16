// An explanation for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

// First line: "allowed" or "denied". Then the flow, the reason in a sentence, and for each end its verdict, the
// policies behind it, and for a denial the rules that come nearest to allowing it.
std::string ExplanationText(const v1::Explanation& explanation);

// The same of a program or a file: then each policy that has a say, with what it does.
std::string OperationText(const v1::OperationExplanation& explanation);

}  // namespace sluice::client
