// Exceptions of rules: checked, and as text of the condition. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/rules/items.h"
#include "policy/rules/read_values.h"

namespace sluice::policy::rules {

// Sets the operators that the exception does not name, and checks that they fit its fields. `known_source`: fields can
// be checked too.
void CompleteException(Exception& exception, bool known_source, LoadMessages& messages);

// "(condition) and not ((field operator value and ...) or ...)". Errors go to `messages`.
std::string WithExceptions(const std::string& condition, const std::vector<Exception>& exceptions,
                           LoadMessages& messages);

}  // namespace sluice::policy::rules
