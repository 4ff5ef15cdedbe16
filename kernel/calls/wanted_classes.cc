#include "kernel/calls/wanted_classes.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "kernel/calls/call_kinds.h"

namespace sluice::calls {
namespace {

using policy::rules::NameTest;
using policy::rules::Prefilter;

constexpr std::size_t kLastSet = 255;
constexpr std::size_t kMostNames = 8000;  // of a half of call_names

class NameSetBuilder {
 public:
  explicit NameSetBuilder(WantedClasses* wanted) : wanted_(*wanted) {}

  // The number of the set; SL_CALL_WANTED: it has no room.
  std::uint8_t Add(const std::set<NameTest>& tests) {
    const auto known = numbers_.find(tests);
    if (known != numbers_.end()) return known->second;
    if (!Fits(tests) || next_ > kLastSet || wanted_.names.size() + tests.size() > kMostNames) return SL_CALL_WANTED;
    const auto number = static_cast<std::uint8_t>(next_++);
    std::set<std::pair<bool, std::string>> added;  // texts that are cut may be the same
    for (const NameTest& test : tests) AddTest(number, test, &added);
    numbers_.emplace(tests, number);
    return number;
  }

 private:
  static bool Fits(const std::set<NameTest>& tests) {
    const auto count = [&](NameTest::Kind kind) {
      return std::ranges::count_if(tests, [kind](const NameTest& test) { return test.kind == kind; });
    };
    const auto ports = static_cast<std::size_t>(count(NameTest::Kind::kPort));
    if (ports != 0) return ports == tests.size() && ports <= SL_CALL_PORTS;
    return count(NameTest::Kind::kPart) <= SL_CALL_PARTS && count(NameTest::Kind::kRawPart) <= SL_CALL_PARTS;
  }

  // A text that is too long is cut: then more names meet it.
  void AddTest(std::uint8_t number, const NameTest& test, std::set<std::pair<bool, std::string>>* added) {
    sl_call_set& set = wanted_.name_sets[number];
    switch (test.kind) {
      case NameTest::Kind::kPart:
        set.tests |= SL_CALL_TESTS_PARTS;
        return AddPart(test.text, set.parts);
      case NameTest::Kind::kRawPart:
        set.tests |= SL_CALL_TESTS_RAW_PARTS;
        return AddPart(test.text, set.raw_parts);
      case NameTest::Kind::kPort: {
        set.tests |= SL_CALL_TESTS_PORTS;
        *std::ranges::find(set.ports, 0) = static_cast<std::uint16_t>(std::stoul(test.text));
        return;
      }
      case NameTest::Kind::kPrefix:
        set.tests |= SL_CALL_TESTS_BEGIN;
        return AddName(number, false, test.text, added);
      case NameTest::Kind::kSuffix:
        set.tests |= SL_CALL_TESTS_END;
        return AddName(number, true, {test.text.rbegin(), test.text.rend()}, added);
    }
  }

  static void AddPart(const std::string& text, sl_call_part (&parts)[SL_CALL_PARTS]) {
    const auto free = std::ranges::find_if(parts, [](const sl_call_part& part) { return part.mask == 0; });
    const std::size_t size = std::min(text.size(), sizeof((*free).value));
    std::memcpy(&(*free).value, text.data(), size);
    std::memset(&(*free).mask, 0xff, size);
  }

  void AddName(std::uint8_t number, bool backwards, std::string text, std::set<std::pair<bool, std::string>>* added) {
    text.resize(std::min<std::size_t>(text.size(), SL_CALL_NAME_MAX));
    if (!added->emplace(backwards, text).second) return;
    sl_call_name_key key{};
    key.bits = static_cast<std::uint32_t>(32 + text.size() * 8);
    key.set = number;
    key.backwards = backwards ? 1 : 0;
    std::memcpy(key.text, text.data(), text.size());
    wanted_.names.push_back(key);
  }

  WantedClasses& wanted_;
  std::size_t next_ = SL_CALL_FIRST_SET;
  std::map<std::set<NameTest>, std::uint8_t> numbers_;
};

// Only what was opened has the name that its path is.
bool HasTestedName(sl_call_kind kind, std::uint32_t call_class) {
  const std::uint32_t descriptor = call_class >> 4 & 15, outcome = call_class >> 8;
  return kind >= SL_CALL_OPEN && kind <= SL_CALL_OPEN_BY_HANDLE_AT && outcome == SL_CALL_SUCCEEDED &&
         (descriptor == SL_CALL_OF_FILE || descriptor == SL_CALL_OF_DIRECTORY);
}

bool HasTestedPorts(std::uint32_t call_class) {
  const std::uint32_t descriptor = call_class >> 4 & 15;
  return descriptor >= SL_CALL_OF_IPV4 && descriptor <= SL_CALL_OF_IPV6_LISTENER;
}

std::uint8_t FilterOf(const Prefilter& prefilter, sl_call_kind kind, std::uint32_t call_class, NameSetBuilder* sets) {
  const auto known = KnownOf(kind, call_class);
  const bool named = HasTestedName(kind, call_class), has_ports = HasTestedPorts(call_class);
  if (!named && !has_ports) return prefilter.Wants(known) ? SL_CALL_WANTED : SL_CALL_DROPPED;
  const auto tests = prefilter.NameTests(known);
  if (!tests) return SL_CALL_WANTED;
  if (tests->empty()) return SL_CALL_DROPPED;
  const bool of_ports =
      std::ranges::all_of(*tests, [](const NameTest& test) { return test.kind == NameTest::Kind::kPort; });
  return of_ports == has_ports ? sets->Add(*tests) : SL_CALL_WANTED;
}

std::uint32_t ReadsOf(const Prefilter& prefilter) {
  std::uint32_t reads = 0;
  if (prefilter.Asks("proc.cwd")) reads |= SL_CALL_READ_WORKING;
  if (prefilter.Asks("proc.env")) reads |= SL_CALL_READ_ENVIRONMENT;
  if (prefilter.Asks("evt.buf") || prefilter.Asks("evt.arg")) reads |= SL_CALL_READ_DATA;
  if (prefilter.Asks("fd.nameraw") || prefilter.Asks("evt.arg")) reads |= SL_CALL_READ_TEXTS;
  return reads;
}

}  // namespace

WantedClasses ComputeWantedClasses(const Prefilter& prefilter) {
  WantedClasses wanted;
  NameSetBuilder sets(&wanted);
  const std::uint32_t reads = ReadsOf(prefilter);
  for (std::size_t i = 1; i < SL_CALL_KIND_COUNT; ++i) {
    const auto kind = static_cast<sl_call_kind>(i);
    if (!prefilter.types().test(TypeOf(kind))) continue;
    sl_call_filter& filter = wanted.filters[i];
    filter.reads = reads;
    for (std::uint32_t one = 0; one < SL_CALL_CLASSES; ++one) {
      if (!IsPossible(kind, one)) continue;
      filter.classes[one] = FilterOf(prefilter, kind, one, &sets);
      if (filter.classes[one] == SL_CALL_DROPPED) continue;
      filter.outcomes[one >> 8] = 1;
      wanted.kinds |= std::uint64_t{1} << i;
    }
    // What is not thought of is not left out.
    for (std::uint32_t one = 0; one < SL_CALL_CLASSES; ++one) {
      if (!IsPossible(kind, one)) filter.classes[one] = SL_CALL_WANTED;
    }
  }
  return wanted;
}

}  // namespace sluice::calls
