// Fields of the event itself: evt.*.
#include <fmt/format.h>

#include <array>

#include "policy/rules/field_groups.h"

namespace sluice::policy::rules {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

// "23:59:59", UTC: a node's events are compared with those of others.
std::string TimeOfDay(std::uint64_t ns) {
  const std::uint64_t second = ns / kSecond % 86'400;
  return fmt::format("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
}

bool IsLeapYear(std::uint64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

// "2025-12-01". By the calendar's rules: policy/ uses no clocks, and so no library of them. 64 bits of nanoseconds end
// in the year 2554.
std::string Date(std::uint64_t ns) {
  constexpr std::array<std::uint64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  std::uint64_t day = ns / kSecond / 86'400;
  std::uint64_t year = 1970;
  for (std::uint64_t days = 365; day >= days; days = IsLeapYear(year) ? 366 : 365) {
    day -= days;
    ++year;
  }
  std::size_t month = 0;
  for (std::uint64_t days = 31; day >= days; days = kDays[month] + (month == 1 && IsLeapYear(year) ? 1 : 0)) {
    day -= days;
    ++month;
  }
  return fmt::format("{:04}-{:02}-{:02}", year, month + 1, day + 1);
}

std::string Fraction(std::uint64_t ns) { return fmt::format("{:09}", ns % kSecond); }

void Type(const FieldUse&, const Event& event, Values& out) { out.AddKnown(NameOf(event.type)); }

void EventNumber(const FieldUse&, const Event& event, Values& out) { out.AddNumber(event.number); }

void Direction(const FieldUse&, const Event&, Values& out) { out.AddText("<"); }

void Result(const FieldUse&, const Event& event, Values& out) {
  if (event.result) out.AddOwned(ResultName(*event.result));
}

void RawResult(const FieldUse&, const Event& event, Values& out) {
  if (event.result) out.AddSigned(*event.result);
}

void Failed(const FieldUse&, const Event& event, Values& out) {
  if (event.result) out.AddNumber(*event.result < 0 ? 1 : 0);
}

void Cpu(const FieldUse&, const Event& event, Values& out) {
  if (event.cpu) out.AddSigned(*event.cpu);
}

void Host(const FieldUse&, const Event& event, Values& out) { out.AddKnown(event.host); }

void Source(const FieldUse&, const Event&, Values& out) { out.AddText("syscall"); }

void Buffer(const FieldUse&, const Event& event, Values& out) { out.AddKnown(event.buffer); }

void BufferLength(const FieldUse&, const Event& event, Values& out) {
  if (!event.buffer.empty()) out.AddNumber(event.buffer.size());
}

void AllArguments(const FieldUse&, const Event& event, Values& out) {
  if (event.arguments.empty()) return;
  std::string& text = out.Own("");
  for (const Argument& argument : event.arguments) {
    if (!text.empty()) text += ' ';
    text.append(argument.name).append("=").append(argument.text);
  }
  out.AddText(text);
}

void OneArgument(const FieldUse& use, const Event& event, Values& out) {
  if (use.index) {
    const auto index = static_cast<std::size_t>(*use.index);
    if (index < event.arguments.size()) out.AddText(event.arguments[index].text);
    return;
  }
  for (const Argument& argument : event.arguments) {
    if (argument.name == use.key) return out.AddText(argument.text);
  }
}

// An event that opens nothing has these fields too: they are false then.
template <bool OpenMode::*member>
void Opened(const FieldUse&, const Event& event, Values& out) {
  out.AddNumber(event.open && (*event.open).*member ? 1 : 0);
}

void Clock(const FieldUse&, const Event& event, Values& out) {
  out.AddOwned(TimeOfDay(event.time_ns) + "." + Fraction(event.time_ns));
}

void ClockSeconds(const FieldUse&, const Event& event, Values& out) { out.AddOwned(TimeOfDay(event.time_ns)); }

void IsoTime(const FieldUse&, const Event& event, Values& out) {
  out.AddOwned(fmt::format("{}T{}.{}+0000", Date(event.time_ns), TimeOfDay(event.time_ns), Fraction(event.time_ns)));
}

void DateTime(const FieldUse&, const Event& event, Values& out) {
  out.AddOwned(fmt::format("{} {}.{}", Date(event.time_ns), TimeOfDay(event.time_ns), Fraction(event.time_ns)));
}

void DateTimeSeconds(const FieldUse&, const Event& event, Values& out) {
  out.AddOwned(Date(event.time_ns) + " " + TimeOfDay(event.time_ns));
}

void RawTime(const FieldUse&, const Event& event, Values& out) { out.AddNumber(event.time_ns); }

void RawSeconds(const FieldUse&, const Event& event, Values& out) { out.AddNumber(event.time_ns / kSecond); }

using enum ValueType;

constexpr FieldInfo kEventFields[] = {
    {"evt.arg", kText, Many::kOne, ArgumentForm::kEventArgument, OneArgument,
     "one argument of the call as text, by its name or its position"},
    {"evt.args", kText, Many::kOne, ArgumentForm::kNone, AllArguments, "all arguments: name=text name=text"},
    {"evt.buffer", kBytes, Many::kOne, ArgumentForm::kNone, Buffer, "the data that the call wrote or read"},
    {"evt.buflen", kUnsigned, Many::kOne, ArgumentForm::kNone, BufferLength, "how many bytes evt.buffer has"},
    {"evt.cpu", kSigned, Many::kOne, ArgumentForm::kNone, Cpu, "the CPU that it was on"},
    {"evt.datetime",
     kText,
     Many::kOne,
     ArgumentForm::kNone,
     DateTime,
     "date and time with nanoseconds, UTC",
     {.clock = true}},
    {"evt.datetime.s",
     kText,
     Many::kOne,
     ArgumentForm::kNone,
     DateTimeSeconds,
     "date and time to the second, UTC",
     {.clock = true}},
    {"evt.dir",
     kText,
     Many::kOne,
     ArgumentForm::kNone,
     Direction,
     "always <: calls are seen when they return",
     {.deprecated = true}},
    {"evt.failed", kBool, Many::kOne, ArgumentForm::kNone, Failed, "the call returned an error"},
    {"evt.hostname", kText, Many::kOne, ArgumentForm::kNone, Host, "the node's name"},
    {"evt.is_open_create", kBool, Many::kOne, ArgumentForm::kNone, Opened<&OpenMode::create>, "the call made a file"},
    {"evt.is_open_exec", kBool, Many::kOne, ArgumentForm::kNone, Opened<&OpenMode::execute>,
     "the call made a file that may be run"},
    {"evt.is_open_read", kBool, Many::kOne, ArgumentForm::kNone, Opened<&OpenMode::read>,
     "the call opened a file to read"},
    {"evt.is_open_write", kBool, Many::kOne, ArgumentForm::kNone, Opened<&OpenMode::write>,
     "the call opened a file to write"},
    {"evt.num", kUnsigned, Many::kOne, ArgumentForm::kNone, EventNumber, "counts events from 1"},
    {"evt.rawres", kSigned, Many::kOne, ArgumentForm::kNone, RawResult, "what the call returned; errors are negative"},
    {"evt.rawtime", kTime, Many::kOne, ArgumentForm::kNone, RawTime, "nanoseconds since 1970"},
    {"evt.rawtime.s", kTime, Many::kOne, ArgumentForm::kNone, RawSeconds, "seconds since 1970"},
    {"evt.res", kText, Many::kOne, ArgumentForm::kNone, Result, "SUCCESS, or the error's name: ENOENT"},
    {"evt.source", kText, Many::kOne, ArgumentForm::kNone, Source, "always syscall"},
    {"evt.time", kText, Many::kOne, ArgumentForm::kNone, Clock, "time of day with nanoseconds, UTC", {.clock = true}},
    {"evt.time.iso8601",
     kText,
     Many::kOne,
     ArgumentForm::kNone,
     IsoTime,
     "the time as in ISO 8601, UTC",
     {.clock = true}},
    {"evt.time.s",
     kText,
     Many::kOne,
     ArgumentForm::kNone,
     ClockSeconds,
     "time of day to the second, UTC",
     {.clock = true}},
    {"evt.type", kText, Many::kOne, ArgumentForm::kNone, Type, "the name of the call or the event: openat"},
    {"syscall.type", kText, Many::kOne, ArgumentForm::kNone, Type, "the same as evt.type"},
};

}  // namespace

std::span<const FieldInfo> EventFields() { return kEventFields; }

}  // namespace sluice::policy::rules
