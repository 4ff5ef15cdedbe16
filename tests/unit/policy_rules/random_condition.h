// Random conditions and events of few values, so that they often meet. For tests and fuzzing of the compiled form.
#pragma once

#include <deque>
#include <random>
#include <string>

#include "policy/rules/event.h"

namespace sluice::policy::rules {

class RandomText {
 public:
  explicit RandomText(std::uint32_t seed) : random_(seed) {}

  std::string Condition(int depth) {
    switch (depth == 0 ? 3 : Below(5)) {
      case 0:
        return Joined(" and ", depth);
      case 1:
        return Joined(" or ", depth);
      case 2:
        return "not (" + Condition(depth - 1) + ")";
      default:
        return Check();
    }
  }

  std::string Word() { return Of({"cat", "sh", "bash", "ca", "", "CAT", "a/b", "/etc/passwd", "/etc", "at", "host"}); }

  std::size_t Below(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_); }
  bool Coin() { return Below(2) == 0; }
  std::string Of(std::initializer_list<const char*> words) { return *(words.begin() + Below(words.size())); }

 private:
  std::string Joined(const std::string& word, int depth) {
    std::string text = "(" + Condition(depth - 1) + ")";
    for (std::size_t i = 0; i <= Below(3); ++i) text += word + "(" + Condition(depth - 1) + ")";
    return text;
  }

  std::string List(const std::string& open = "(") {
    std::string text;
    for (std::size_t i = Below(4); i > 0; --i) text += (text.empty() ? "\"" : ", \"") + Word() + "\"";
    return open + text + ")";
  }

  std::string TextCheck() {
    const std::string field =
        Of({"proc.name", "proc.pname", "proc.aname", "proc.aname[2]", "proc.cmdline", "fd.name", "fd.directory",
            "container.id", "container.name", "evt.arg.flags", "user.name", "k8s.ns.name", "proc.args[0]"});
    const std::string op = Of({"=", "!=", "contains", "icontains", "startswith", "endswith", "glob", "iglob"});
    switch (Below(7)) {
      case 0:
        return field + " exists";
      case 1:
        return field + Of({" in ", " intersects ", " pmatch "}) + List();
      case 2:
        return field + " " + op + " " + Of({"oneof", "anyof", "allof"}) + " " + List();
      case 3:
        return "tolower(proc.name) " + op + " \"" + Word() + "\"";
      case 4:
        return "proc.name " + op + " val(" + Of({"proc.pname", "proc.exe", "fd.filename"}) + ")";
      default:
        return field + " " + op + " \"" + Word() + "\"";
    }
  }

  std::string NumberCheck() {
    const std::string number = Of({"0", "1", "3", "80", "443"});
    const std::string field =
        Of({"evt.rawres", "fd.num", "proc.tty", "fd.sport", "fd.port", "evt.num", "user.uid", "len(proc.name)"});
    if (Coin()) return field + " in (" + number + ", 2)";
    return field + " " + Of({"=", "!=", "<", "<=", ">", ">="}) + " " + number;
  }

  std::string Check() {
    switch (Below(8)) {
      case 0:
        return Of({"evt.type = ", "evt.type != "}) + Of({"openat", "execve", "connect"});
      case 1:
        return "evt.type in (" + Of({"openat, open", "execve, execveat", "connect"}) + ")";
      case 2:
        return NumberCheck();
      case 3:
        return Of({"fd.ip ", "fd.sip "}) + Of({"= 10.0.0.1", "!= 10.0.0.1", "in (10.0.0.1, ::1)", "exists"});
      case 4:
        return Of({"fd.net ", "fd.snet "}) + Of({"= 10.0.0.0/8", "!= 10.0.0.0/8", "in (10.0.0.0/24, fd00::/8)"});
      case 5:
        return Of({"evt.is_open_read=true", "container.privileged=true", "fd.connected=false", "container.id != host",
                   "evt.failed = true", "evt.type startswith open"});
      default:
        return TextCheck();
    }
  }

  std::mt19937 random_;
};

// Owns an event and what it points to.
struct RandomEvent {
  std::deque<Process> processes;
  Container container;
  Descriptor descriptor;
  std::vector<Argument> arguments;
  std::string flags;
  Event event;

  explicit RandomEvent(RandomText& random) {
    event.type = *FindEventType(random.Of({"openat", "open", "execve", "connect", "dup", "read"}));
    event.number = 1 + random.Below(3);
    if (random.Coin()) event.result = static_cast<std::int64_t>(random.Below(5)) - 2;
    const Process* parent = nullptr;
    for (std::size_t i = random.Below(5); i > 0; --i) {
      Process& process = processes.emplace_back();
      process.name = random.Word();
      process.exe = random.Word();
      if (random.Coin()) process.arguments = {random.Word(), random.Word()};
      process.credentials.user_name = random.Word();
      process.tty = static_cast<std::uint32_t>(random.Below(4));
      process.parent = parent;
      Describe(process);
      parent = &process;
    }
    event.process = parent;
    container.id = random.Word();
    container.pod_namespace = random.Word();
    if (random.Coin()) container.privileged = random.Coin();
    if (random.Below(3) > 0) event.container = random.Coin() ? &container : &HostContainer();
    if (random.Below(3) > 0) FillDescriptor(random);
    if (random.Coin()) {
      flags = random.Word();
      arguments = {{.name = "flags", .text = flags}};
      event.arguments = arguments;
    }
    if (random.Coin()) event.open = OpenMode{.read = random.Coin(), .write = random.Coin()};
  }
  RandomEvent(const RandomEvent&) = delete;
  RandomEvent& operator=(const RandomEvent&) = delete;

 private:
  void FillDescriptor(RandomText& random) {
    descriptor.kind = random.Coin() ? DescriptorKind::kFile : DescriptorKind::kIpv4;
    descriptor.name = random.Word();
    descriptor.is_open = random.Below(4) > 0;
    if (descriptor.kind == DescriptorKind::kIpv4) {
      SocketEnds ends;
      ends.client = *Address::Parse(random.Of({"10.0.0.1", "192.168.1.1"}));
      ends.server = *Address::Parse(random.Of({"10.0.0.1", "10.9.9.9", "8.8.8.8"}));
      ends.server_port = random.Coin() ? 80 : 443;
      descriptor.ends = ends;
      if (random.Coin()) descriptor.kind = DescriptorKind::kIpv4Listener;
    }
    event.descriptor = &descriptor;
    if (random.Coin()) event.descriptor_number = static_cast<std::int64_t>(random.Below(5)) - 1;
  }
};

}  // namespace sluice::policy::rules
