#include "policy/rules/evaluate.h"

#include <algorithm>

#include "policy/rules/compare.h"
#include "policy/rules/extract.h"

namespace sluice::policy::rules {

bool EvaluateCheck(const BoundCheck& check, const Event& event) {
  Values left, right;
  ExtractValues(*check.left, event, left);
  if (check.right != nullptr) ExtractValues(*check.right, event, right);
  return Compare(check, left, right);
}

bool Evaluate(const BoundCondition& condition, const Event& event) {
  const auto is_true = [&](const BoundConditionPtr& part) { return Evaluate(*part, event); };
  switch (condition.kind) {
    case Condition::Kind::kAnd:
      return std::all_of(condition.parts.begin(), condition.parts.end(), is_true);
    case Condition::Kind::kOr:
      return std::any_of(condition.parts.begin(), condition.parts.end(), is_true);
    case Condition::Kind::kNot:
      return !Evaluate(*condition.parts.front(), event);
    default:
      return EvaluateCheck(*condition.check, event);
  }
}

}  // namespace sluice::policy::rules
