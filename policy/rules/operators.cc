#include "policy/rules/operators.h"

namespace sluice::policy::rules {

std::uint32_t ClassOf(ValueType type) {
  switch (type) {
    case ValueType::kText:
      return TypeClass::kText;
    case ValueType::kBytes:
      return TypeClass::kBytes;
    case ValueType::kBool:
      return TypeClass::kBool;
    case ValueType::kAddress:
    case ValueType::kNetwork:
      return TypeClass::kAddress;
    case ValueType::kSigned:
    case ValueType::kUnsigned:
    case ValueType::kPort:
    case ValueType::kDuration:
    case ValueType::kTime:
      return TypeClass::kNumber;
  }
  return 0;
}

std::string_view NameOf(Modifier modifier) {
  for (const ModifierInfo& info : kModifiers) {
    if (info.modifier == modifier) return info.name;
  }
  return "";
}

}  // namespace sluice::policy::rules
