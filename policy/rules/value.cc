#include "policy/rules/value.h"

namespace sluice::policy::rules {

std::string_view NameOf(ValueType type) {
  switch (type) {
    case ValueType::kText:
      return "text";
    case ValueType::kBytes:
      return "bytes";
    case ValueType::kBool:
      return "true or false";
    case ValueType::kSigned:
      return "number";
    case ValueType::kUnsigned:
      return "number from 0";
    case ValueType::kPort:
      return "port";
    case ValueType::kDuration:
      return "duration";
    case ValueType::kTime:
      return "time";
    case ValueType::kAddress:
      return "address";
    case ValueType::kNetwork:
      return "network";
  }
  return "";
}

bool IsNumber(ValueType type) {
  return type == ValueType::kSigned || type == ValueType::kUnsigned || type == ValueType::kPort ||
         type == ValueType::kDuration || type == ValueType::kTime;
}

std::string& Values::Own(std::string_view text) {
  if (used_ == texts_.size()) texts_.emplace_back();
  std::string& own = texts_[used_++];
  own.assign(text);
  return own;
}

}  // namespace sluice::policy::rules
