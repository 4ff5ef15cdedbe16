// What a field of an event gives: no value (it is missing), one, or several.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/address.h"

namespace sluice::policy::rules {

enum class ValueType : std::uint8_t {
  kText,
  kBytes,
  kBool,      // number: 0 or 1
  kSigned,    // number: a std::int64_t
  kUnsigned,  // number
  kPort,      // number, host byte order
  kDuration,  // number: nanoseconds
  kTime,      // number: nanoseconds since 1970
  kAddress,
  kNetwork,  // the event has an address, and the rule a prefix
};

std::string_view NameOf(ValueType type);  // "text", "number", ... for messages and pages
bool IsNumber(ValueType type);            // compared by `number`

struct Value {
  std::string_view text;     // kText, kBytes: borrowed from the event or from its Values
  std::uint64_t number = 0;  // of numbers, in two's complement if signed
  Address address;           // kAddress, kNetwork
};

// Reused from event to event, so that it seldom allocates. Not thread-safe; not copied, because values point into it.
class Values {
 public:
  Values() = default;
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;

  void Clear() {
    values_.clear();
    used_ = 0;
    is_absent_list_ = false;
  }
  // For a list that is missing, as opposed to one that is there and empty.
  void ClearList() {
    Clear();
    is_absent_list_ = true;
  }
  void AddText(std::string_view borrowed) { values_.push_back({.text = borrowed}); }
  void AddOwned(std::string_view text) { values_.push_back({.text = Own(text)}); }
  void AddNumber(std::uint64_t number) { values_.push_back({.number = number}); }
  void AddSigned(std::int64_t number) { AddNumber(static_cast<std::uint64_t>(number)); }
  void AddAddress(const Address& address) { values_.push_back({.address = address}); }
  // Borrowed unless it is empty, which means that it is not known.
  void AddKnown(std::string_view borrowed) {
    if (!borrowed.empty()) AddText(borrowed);
  }
  // Keeps a copy until the next Clear.
  std::string& Own(std::string_view text);
  void Set(std::size_t index, const Value& value) { values_[index] = value; }

  bool empty() const { return values_.empty(); }
  bool is_absent_list() const { return is_absent_list_; }
  std::size_t size() const { return values_.size(); }
  const Value& operator[](std::size_t index) const { return values_[index]; }
  std::span<const Value> all() const { return values_; }

 private:
  std::vector<Value> values_;
  std::deque<std::string> texts_;  // the first `used_` are in use; a deque does not move its elements
  std::size_t used_ = 0;
  bool is_absent_list_ = false;
};

}  // namespace sluice::policy::rules
