// Events as a busy node has them, made once and then read over and over: mostly files that are opened, some
// connections, programs that start, and a few that rules are about. The same numbers give the same events.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "policy/rules/event.h"

namespace sluice::perf {

class EventMix {
 public:
  EventMix(std::size_t processes, std::size_t events);
  EventMix(const EventMix&) = delete;  // events point to the other members
  EventMix& operator=(const EventMix&) = delete;

  const std::vector<policy::rules::Event>& events() const { return events_; }
  // How many of them an intruder causes: a shell with a terminal in a container, and the reading of /etc/shadow.
  std::size_t intrusions() const { return intrusions_; }

 private:
  void MakeProcesses(std::size_t count);
  void MakeDescriptors();
  policy::rules::Event Make(std::size_t number);
  policy::rules::Event Open(std::size_t number);
  policy::rules::Event Intrude(std::size_t number);

  policy::rules::Process init_;
  policy::rules::Process shell_;
  policy::rules::Process thief_;
  std::deque<policy::rules::Process> processes_;
  std::vector<policy::rules::Container> containers_;
  std::deque<policy::rules::Descriptor> files_;
  std::deque<policy::rules::Descriptor> sockets_;
  policy::rules::Descriptor shadow_;
  std::vector<policy::rules::Argument> read_arguments_;
  std::vector<policy::rules::Argument> write_arguments_;
  std::vector<policy::rules::Event> events_;
  std::size_t intrusions_ = 0;
};

}  // namespace sluice::perf
