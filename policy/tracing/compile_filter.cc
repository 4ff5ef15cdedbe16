// matchArgs, matchData and matchReturnArgs.
#include <algorithm>
#include <array>
#include <cstring>

#include "policy/tracing/compile_parts.h"

namespace sluice::policy::tracing {
namespace {

constexpr std::uint64_t kLast = ~std::uint64_t{0};
constexpr std::uint64_t kLowestSigned = std::uint64_t{1} << 63U;
constexpr std::uint64_t kHighestSigned = kLowestSigned - 1;
constexpr std::size_t kFewNumbers = 8;  // more go into a set
constexpr std::uint64_t kLastPrivilegedPort = 1023;
constexpr int kBitsBeforeV4 = 96;  // of a v4-mapped address

bool IsNegated(Operator op) {
  switch (op) {
    case Operator::kNotEqual:
    case Operator::kNotInRange:
    case Operator::kNotInMap:
    case Operator::kNotPrefix:
    case Operator::kNotPostfix:
    case Operator::kNotSAddr:
    case Operator::kNotDAddr:
    case Operator::kNotSPort:
    case Operator::kNotSPortPriv:
    case Operator::kNotDPort:
    case Operator::kNotDPortPriv:
    case Operator::kNotFileType:
      return true;
    default:
      return false;
  }
}

sl_hook_field FieldOf(Operator op) {
  switch (op) {
    case Operator::kSAddr:
    case Operator::kNotSAddr:
      return SL_HOOK_FIELD_SOURCE;
    case Operator::kDAddr:
    case Operator::kNotDAddr:
      return SL_HOOK_FIELD_DESTINATION;
    case Operator::kSPort:
    case Operator::kNotSPort:
    case Operator::kSPortPriv:
    case Operator::kNotSPortPriv:
      return SL_HOOK_FIELD_SOURCE_PORT;
    case Operator::kDPort:
    case Operator::kNotDPort:
    case Operator::kDPortPriv:
    case Operator::kNotDPortPriv:
      return SL_HOOK_FIELD_DESTINATION_PORT;
    case Operator::kProtocol:
      return SL_HOOK_FIELD_PROTOCOL;
    case Operator::kFamily:
      return SL_HOOK_FIELD_FAMILY;
    case Operator::kState:
      return SL_HOOK_FIELD_STATE;
    case Operator::kFileType:
    case Operator::kNotFileType:
      return SL_HOOK_FIELD_FILE_TYPE;
    default:
      return SL_HOOK_FIELD_VALUE;
  }
}

sl_hook_test_kind TextKindOf(Operator op) {
  switch (op) {
    case Operator::kPrefix:
    case Operator::kNotPrefix:
      return SL_HOOK_TEST_PREFIX;
    case Operator::kPostfix:
    case Operator::kNotPostfix:
      return SL_HOOK_TEST_POSTFIX;
    case Operator::kSubString:
      return SL_HOOK_TEST_CONTAINS;
    case Operator::kSubStringIgnCase:
      return SL_HOOK_TEST_CONTAINS_ANY_CASE;
    default:
      return SL_HOOK_TEST_EQUAL;
  }
}

using AddressBytes = std::array<std::uint8_t, 16>;
constexpr AddressBytes kAnyV4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};  // ::ffff:0:0, with kBitsBeforeV4

std::uint8_t MaskOf(int bit) { return static_cast<std::uint8_t>(0x80U >> static_cast<unsigned>(bit % 8)); }

// The address and its length in bits, as the map has them.
sl_hook_test AddressTest(sl_hook_field field, const AddressBytes& bytes, int length) {
  sl_hook_test test = MakeTest(SL_HOOK_TEST_ADDRESS, field);
  std::memcpy(&test.first, bytes.data(), sizeof(test.first));
  std::memcpy(&test.last, bytes.data() + sizeof(test.first), sizeof(test.last));
  test.detail = static_cast<std::uint8_t>(length);
  return test;
}

// Whether the prefix, as bits, has all IPv4 addresses in it, which are stored v4-mapped.
bool CoversMapped(const Prefix& prefix) {
  if (prefix.is_v4() || prefix.length() >= kBitsBeforeV4) return false;
  for (int bit = 0; bit < prefix.length(); ++bit) {
    if (((prefix.address().bytes()[bit / 8] ^ kAnyV4[bit / 8]) & MaskOf(bit)) != 0) return false;
  }
  return true;
}

// As IPv6, ::/0 and the like have no IPv4 address in them: they are taken apart into what is left and right of the
// v4-mapped addresses.
void AddPrefix(sl_hook_field field, const Prefix& prefix, std::vector<sl_hook_test>& tests) {
  if (!CoversMapped(prefix)) {
    tests.push_back(AddressTest(field, prefix.address().bytes(), prefix.mapped_length()));
    return;
  }
  AddressBytes begin{};  // the bits of kAnyV4 before `bit`
  for (int bit = 0; bit < kBitsBeforeV4; ++bit) {
    const std::uint8_t of_mapped = kAnyV4[bit / 8] & MaskOf(bit);
    if (bit >= prefix.length()) {
      AddressBytes beside = begin;
      if (of_mapped == 0) beside[bit / 8] |= MaskOf(bit);
      tests.push_back(AddressTest(field, beside, bit + 1));
    }
    begin[bit / 8] |= of_mapped;
  }
}

sl_hook_test RangeTest(bool is_signed, sl_hook_field field, const NumberRange& range) {
  return MakeTest(is_signed ? SL_HOOK_TEST_SIGNED_RANGE : SL_HOOK_TEST_RANGE, field, range.first, range.last);
}

// No number is in it.
sl_hook_test NeverTest() { return MakeTest(SL_HOOK_TEST_RANGE, SL_HOOK_FIELD_VALUE, 1, 0); }

sl_hook_test AboveTest(bool is_signed, std::uint64_t number) {
  const std::uint64_t last = is_signed ? kHighestSigned : kLast;
  return number == last ? NeverTest() : RangeTest(is_signed, SL_HOOK_FIELD_VALUE, {number + 1, last});
}

sl_hook_test BelowTest(bool is_signed, std::uint64_t number) {
  const std::uint64_t first = is_signed ? kLowestSigned : 0;
  return number == first ? NeverTest() : RangeTest(is_signed, SL_HOOK_FIELD_VALUE, {first, number - 1});
}

// Sorted, and those that overlap or touch as one.
std::vector<NumberRange> Joined(std::vector<NumberRange> ranges, bool is_signed) {
  // With the sign's bit turned over, signed numbers are in order as unsigned ones.
  const std::uint64_t turn = is_signed ? kLowestSigned : 0;
  for (NumberRange& range : ranges) range = {range.first ^ turn, range.last ^ turn};
  std::sort(ranges.begin(), ranges.end(), [](const NumberRange& a, const NumberRange& b) { return a.first < b.first; });
  std::vector<NumberRange> joined;
  for (const NumberRange& range : ranges) {
    if (!joined.empty() && (joined.back().last == kLast || range.first <= joined.back().last + 1)) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  for (NumberRange& range : joined) range = {range.first ^ turn, range.last ^ turn};
  return joined;
}

// Of InMap and NotInMap: one look-up for all single numbers, unless there are few.
void AddSet(std::vector<NumberRange> ranges, bool is_signed, CompiledHook& compiled, std::vector<sl_hook_test>& tests) {
  ranges = Joined(std::move(ranges), is_signed);
  const bool few = ranges.size() <= kFewNumbers;
  std::vector<std::uint64_t> singles;
  for (const NumberRange& range : ranges) {
    if (!few && range.first == range.last) {
      singles.push_back(range.first);
    } else {
      tests.push_back(RangeTest(is_signed, SL_HOOK_FIELD_VALUE, range));
    }
  }
  if (singles.empty()) return;
  tests.insert(tests.begin(), MakeTest(SL_HOOK_TEST_IN_SET, SL_HOOK_FIELD_VALUE, compiled.sets.size()));
  compiled.sets.push_back(std::move(singles));
}

void AddNumbers(const ArgumentFilter& filter, bool is_signed, std::vector<sl_hook_test>& tests) {
  const sl_hook_field field = FieldOf(filter.op);
  for (const NumberRange& range : filter.values.numbers) {
    switch (filter.op) {
      case Operator::kGreaterThan:
        tests.push_back(AboveTest(is_signed, range.first));
        break;
      case Operator::kLessThan:
        tests.push_back(BelowTest(is_signed, range.first));
        break;
      case Operator::kMask:
        tests.push_back(MakeTest(SL_HOOK_TEST_MASK, field, range.first));
        break;
      default:
        tests.push_back(RangeTest(is_signed && field == SL_HOOK_FIELD_VALUE, field, range));
    }
  }
}

// The numbers of a list of system calls.
void AddList(const HookParts& parts, const List& list, const PolicyField& field, std::vector<NumberRange>& numbers) {
  const auto number_of = parts.options.syscall_number;
  if (number_of == nullptr) return field.NotYet("list:" + list.name);
  if (list.type == List::Type::kGeneratedSyscalls) {
    for (const std::string& name : GeneratedSyscalls(list, parts.options)) {
      const std::uint32_t number = *number_of(name);
      numbers.push_back({number, number});
    }
    return;
  }
  for (const std::string& value : list.values) {
    const std::optional<std::string_view> name = ListedSyscall(value);
    if (!name) return field.NotYet(fmt::format("{}, a call of another ABI,", value));
    const std::optional<std::uint32_t> number = number_of(*name);
    if (!number) return field.Error(fmt::format("{} of list {}: this machine has no such call", value, list.name));
    numbers.push_back({*number, *number});
  }
}

}  // namespace

std::string LowerCase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

FilterTests CompileArgumentFilter(const HookParts& parts, const ArgumentFilter& filter, const Argument& argument,
                                  std::size_t position, const PolicyField& field, CompiledHook& compiled) {
  FilterTests out{.negated = IsNegated(filter.op), .tests = {}};
  const bool is_signed = InfoOf(argument.type).values == ValueClass::kSigned;
  switch (filter.op) {
    case Operator::kSPortPriv:
    case Operator::kNotSPortPriv:
    case Operator::kDPortPriv:
    case Operator::kNotDPortPriv:
      out.tests.push_back(RangeTest(false, FieldOf(filter.op), {0, kLastPrivilegedPort}));
      break;
    case Operator::kCapabilitiesGained:
      out.tests.push_back(MakeTest(SL_HOOK_TEST_GAINED, SL_HOOK_FIELD_VALUE));
      out.tests.back().detail = static_cast<std::uint8_t>(filter.second.value_or(0));
      break;
    case Operator::kInMap:
    case Operator::kNotInMap: {
      std::vector<NumberRange> numbers = filter.values.numbers;
      for (const std::string& name : filter.values.lists) {
        const auto& lists = parts.policy.lists;
        const auto list = std::find_if(lists.begin(), lists.end(), [&](const List& one) { return one.name == name; });
        AddList(parts, *list, field.At("values"), numbers);
      }
      AddSet(std::move(numbers), is_signed, compiled, out.tests);
      break;
    }
    default:
      AddNumbers(filter, is_signed, out.tests);
  }
  for (const Prefix& prefix : filter.values.addresses) AddPrefix(FieldOf(filter.op), prefix, out.tests);
  const bool any_case = filter.op == Operator::kSubStringIgnCase;
  for (const std::string& text : filter.values.texts) {
    out.tests.push_back(
        TextTest(TextKindOf(filter.op), SL_HOOK_FIELD_VALUE, any_case ? LowerCase(text) : text, compiled));
  }
  for (sl_hook_test& test : out.tests) test.argument = static_cast<std::uint8_t>(position);
  return out;
}

}  // namespace sluice::policy::tracing
