// Which events can meet a rule, by little that is known of them: what the sensors of system calls decide in the kernel.
// Conservative: an event that a rule is true for (policy/rules/evaluate.h) is always wanted. Immutable; thread-safe.
//
//   const Prefilter prefilter({rules_in_force, rules_to_come});  // what either set wants
//   prefilter.types();                                           // others need not be looked at at all
//   prefilter.Wants({.type = *FindEventType("openat"), .outcome = Outcome::kFailed, .kinds = {DescriptorKind::kFile}});
//
// A check is decided if all its fields are known of every event of the class; what is left is taken for possible.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/rules/ruleset.h"

namespace sluice::policy::rules {

enum class Outcome : std::uint8_t {
  kSucceeded,   // the result is at least 0
  kInProgress,  // it is -EINPROGRESS
  kFailed,      // another error
};

// Events of one type of which the same is known.
struct EventClass {
  EventType type = 0;
  Outcome outcome = Outcome::kSucceeded;
  // What the call is about is one of these; empty: nothing is known of it. `no_descriptor`: it is about nothing.
  std::vector<DescriptorKind> kinds;
  bool no_descriptor = false;
  bool result_is_descriptor = false;  // fd.num is the result, and -1 if the call failed
  // Of calls that open: as in Event. Absent: the event has none, and fields of it are false.
  std::optional<OpenMode> open;
};

// A test on what the call is about: the name of what was opened, or the ends of a socket. An event is wanted if one
// test of a set holds.
struct NameTest {
  enum class Kind : std::uint8_t {
    kPrefix,   // of fd.name; a text that ends with a NUL: it is the whole name
    kSuffix,   // of fd.name
    kPart,     // fd.name has it at any place
    kRawPart,  // the caller's text, of which fd.nameraw is made, has it at any place
    kPort,     // one end of the socket has it; a decimal number
  };
  Kind kind = Kind::kPrefix;
  std::string text;

  friend auto operator<=>(const NameTest&, const NameTest&) = default;
};

class Prefilter {
 public:
  // Rules of each ruleset; null ones count as empty.
  explicit Prefilter(std::vector<std::shared_ptr<const Ruleset>> rulesets);

  // The types that some rule can be true for.
  const EventSet& types() const { return types_; }
  bool Wants(const EventClass& known) const;
  // Whether an event of the type can meet a rule in this container. `container` null: not known, so anything can.
  bool Wants(EventType type, const Container* container) const;
  // Tests of which one holds for the name of every event of the class that a rule is true for. Absent: there are none
  // such; empty: no event is wanted. Tests of names are for events whose fd.name is a path, those of ports for sockets
  // of IP whose ends are known.
  std::optional<std::set<NameTest>> NameTests(const EventClass& known) const;
  // Whether some rule or its output asks for a field whose name begins so ("proc.env").
  bool Asks(std::string_view field_prefix) const;

 private:
  std::vector<std::shared_ptr<const Ruleset>> rulesets_;
  std::unordered_map<const BoundCheck*, std::vector<std::string_view>> fields_of_;  // of each check of the rules
  EventSet types_;
  std::set<std::string, std::less<>> fields_;
};

}  // namespace sluice::policy::rules
