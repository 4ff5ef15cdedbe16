// What operators, functions and fields mean.
#include <fnmatch.h>
#include <gtest/gtest.h>

#include "policy/rules/base64.h"
#include "policy/rules/event_sets.h"
#include "policy/rules/text_match.h"
#include "tests/unit/policy_rules/random_condition.h"
#include "tests/unit/policy_rules/scene.h"

namespace sluice::policy::rules {
namespace {

TEST(Operators, AreTrueOfTheScene) {
  const Scene scene;
  for (const char* text : {"proc.name = bash",
                           "proc.name == bash",
                           "proc.name != sh",
                           "proc.name in (sh, bash)",
                           "not proc.name in (sh)",
                           "proc.name exists",
                           "proc.cmdline contains \"cat /etc\"",
                           "proc.cmdline icontains \"CAT /ETC\"",
                           "proc.name startswith ba",
                           "proc.name endswith sh",
                           "proc.name startswith \"\"",
                           "proc.name glob b*h",
                           "proc.name glob 'b?sh'",
                           "proc.name glob '[a-c]ash'",
                           "fd.name glob '/*dow'",
                           "proc.name iglob 'B*H'",
                           "proc.name regex 'b[a-z]+'",
                           "proc.name regex '^bash$'",
                           "fd.name pmatch (/var, /etc)",
                           "fd.name pmatch (/)",
                           "fd.name pmatch (/etc/shadow)",
                           "fd.name pmatch (/e*)",

                           "proc.name contains oneof (ba, zz)",
                           "proc.name contains anyof (ba, sh)",
                           "proc.name contains allof (ba, sh)",
                           "proc.name != allof (sh, zsh)",
                           "proc.name = anyof (sh, bash)",
                           "proc.name regex anyof ('x', 'b.*')",
                           "fd.num >= 0",
                           "fd.num = 3",
                           "fd.num in (1, 3)",
                           "fd.num != 4",
                           "fd.num > -1",
                           "fd.num < 0x10",
                           "evt.is_open_read = true",
                           "evt.is_open_write = false",
                           "container.privileged = true",
                           "evt.failed = false",
                           "proc.name = val(proc.name)",
                           "tolower(proc.exe) = val(proc.exe)",
                           "toupper(proc.name) = BASH",
                           "basename(proc.exe) = bash",
                           "basename(proc.exe) = val(proc.name)",
                           "len(proc.name) = 4",
                           "len(proc.exe) > 4",
                           "concat(proc.name, \"-\", proc.pname) = bash-nginx",
                           "join(\",\", (proc.name, 'x', proc.pid)) = \"bash,x,200\"",
                           "getopt((proc.args[0], proc.args[1]), 'c:')[c] startswith cat",
                           "getopt((proc.args[0], proc.args[1]), 'c:') intersects (c)",
                           "len(getopt(('-a', '-b'), 'ab')) = 2",
                           "len((proc.name, 'x')) = 2"}) {
    EXPECT_TRUE(IsTrue(text, scene.event)) << text;
  }
}

TEST(Operators, AreFalseOfTheScene) {
  const Scene scene;
  for (const char* text : {"proc.name = sh",
                           "proc.name != bash",
                           "proc.name in ()",
                           "proc.name in (BASH)",
                           "proc.cmdline contains \"CAT\"",
                           "proc.name startswith ash",
                           "proc.name endswith ba",
                           "proc.name glob b",
                           "proc.name glob 'b[!a]sh'",
                           "proc.name regex ba",
                           "proc.name regex 'B.*'",
                           "fd.name pmatch (/et)",
                           "fd.name pmatch (/etc/shadow/x)",
                           "fd.name pmatch (/*/*/*)",
                           "proc.name contains oneof (ba, sh)",
                           "proc.name contains allof (ba, zz)",
                           "proc.name contains anyof ()",
                           "proc.name contains allof ()",
                           "proc.name != allof (bash, sh)",
                           "fd.num < 3",
                           "fd.num in (1, 2)",
                           "proc.name = val(proc.pname)",
                           "proc.name > val(proc.name)",
                           "len(getopt(('-a'), 'b')[b]) >= 0",
                           "proc.name iglob 'A*'"}) {
    EXPECT_FALSE(IsTrue(text, scene.event)) << text;
  }
}

TEST(Operators, AMissingFieldMakesEachCheckFalse) {
  Scene scene;
  scene.event.process = nullptr;
  scene.event.descriptor = nullptr;
  scene.event.container = nullptr;
  for (const char* check :
       {"proc.name = x", "proc.name != x", "proc.name in (x)", "proc.name exists", "proc.aname = x", "proc.aname != x",
        "fd.ip != 1.2.3.4", "fd.net != 1.2.3.0/24", "container.id != host", "proc.name = val(proc.name)",
        "tolower(proc.name) != x", "len(proc.name) >= 0", "fd.port != 1", "proc.tty != 0"}) {
    EXPECT_FALSE(IsTrue(check, scene.event)) << check;
    EXPECT_TRUE(IsTrue(std::string("not ") + check, scene.event)) << check;
  }
}

TEST(Operators, AncestorsAreLookedAtOneByOne) {
  const Scene scene;
  EXPECT_TRUE(IsTrue("proc.aname = systemd", scene.event));
  EXPECT_TRUE(IsTrue("proc.aname in (x, nginx)", scene.event));
  EXPECT_FALSE(IsTrue("proc.aname = bash", scene.event)) << "the process is no ancestor of itself";
  EXPECT_TRUE(IsTrue("proc.aname != nginx", scene.event)) << "systemd is another one";
  EXPECT_TRUE(IsTrue("proc.aname[0] = bash", scene.event));
  EXPECT_TRUE(IsTrue("proc.aname[1] = nginx", scene.event));
  EXPECT_TRUE(IsTrue("proc.aname[2] = systemd", scene.event));
  EXPECT_FALSE(IsTrue("proc.aname[3] exists", scene.event));
  EXPECT_FALSE(IsTrue("proc.aname[1000000] exists", scene.event));
  EXPECT_TRUE(IsTrue("proc.apid = 1", scene.event));
  EXPECT_TRUE(IsTrue("proc.aexepath[1] = /usr/sbin/nginx", scene.event));
}

TEST(Operators, BothEndsOfAConnectionAreLookedAt) {
  Scene scene;
  scene.Connect("10.0.0.1", "192.168.7.9", 443);
  for (const char* text : {"fd.ip = 10.0.0.1",
                           "fd.ip = 192.168.7.9",
                           "fd.ip in (192.168.7.9)",
                           "fd.ip != 1.1.1.1",
                           "fd.port = 443",
                           "fd.port = 40112",
                           "fd.port != 80",
                           "fd.net = 10.0.0.0/8",
                           "fd.net in (172.16.0.0/12, 192.168.0.0/16)",
                           "fd.net != 127.0.0.0/8",
                           "fd.snet = 192.168.0.0/16",
                           "not fd.snet in (10.0.0.0/8)",
                           "fd.cip = 10.0.0.1",
                           "fd.sip = 192.168.7.9",
                           "fd.lip = 10.0.0.1",
                           "fd.rip = 192.168.7.9",
                           "fd.sport = 443",
                           "fd.lport = 40112",
                           "fd.rport = 443",
                           "fd.l4proto = tcp",
                           "fd.typechar = 4",
                           "fd.type in (ipv4, ipv6)",
                           "fd.sockfamily = ip",
                           "fd.name = \"10.0.0.1:40112->192.168.7.9:443\"",
                           "fd.is_server = false"}) {
    EXPECT_TRUE(IsTrue(text, scene.event)) << text;
  }
  for (const char* text : {"fd.ip != 10.0.0.1", "fd.ip != 192.168.7.9", "fd.port != 443", "fd.net != 10.0.0.0/8",
                           "fd.snet = 10.0.0.0/8", "fd.ip = ::1", "fd.sip.name exists", "fd.filename exists"}) {
    EXPECT_FALSE(IsTrue(text, scene.event)) << text;
  }
  scene.descriptor.ends->server_names = {"a.example", "b.example"};
  scene.descriptor.ends->local_is_server = true;
  EXPECT_TRUE(IsTrue("fd.sip.name = b.example and fd.sip.name != c.example", scene.event));
  EXPECT_FALSE(IsTrue("fd.sip.name != a.example", scene.event));
  EXPECT_TRUE(IsTrue("fd.lip = 192.168.7.9 and fd.rip = 10.0.0.1 and fd.lport = 443", scene.event));
  scene.Connect("fd00::1", "fd00::2", 80);
  EXPECT_TRUE(IsTrue("fd.net = fd00::/8 and fd.typechar = 6 and fd.sip = fd00::2", scene.event));
}

TEST(Operators, AListenerHasOneEnd) {
  Scene scene;
  scene.Connect("0.0.0.0", "10.0.0.5", 80);
  scene.descriptor.kind = DescriptorKind::kIpv4Listener;
  scene.descriptor.name = SocketName(scene.descriptor);
  EXPECT_TRUE(IsTrue("fd.sip = 10.0.0.5 and fd.sport = 80 and fd.ip = 10.0.0.5 and fd.is_server = true", scene.event));
  EXPECT_FALSE(IsTrue("fd.cip exists or fd.lip exists or fd.rport exists or fd.ip = 0.0.0.0", scene.event));
  EXPECT_TRUE(IsTrue("fd.name = 10.0.0.5:80 and fd.type = ipv4 and fd.typechar = 2", scene.event));
}

TEST(Fields, OfTheScene) {
  const Scene scene;
  for (const char* text : {"evt.type = openat and syscall.type = openat",
                           "evt.num = 7",
                           "evt.res = SUCCESS",
                           "evt.rawres = 3",
                           "evt.arg.flags contains O_RDONLY",
                           "evt.arg[1] contains O_RDONLY",
                           "evt.arg[0] startswith 3",
                           "evt.args = \"fd=3(<f>/etc/shadow) flags=O_RDONLY|O_CLOEXEC\"",
                           "evt.hostname = node-1",
                           "evt.dir = '<'",
                           "evt.time = '09:40:10.123456789'",
                           "evt.time.s = '09:40:10'",
                           "evt.datetime.s = '2025-12-01 09:40:10'",
                           "evt.time.iso8601 = '2025-12-01T09:40:10.123456789+0000'",
                           "evt.rawtime.s = 1764582010",
                           "fd.directory = /etc",
                           "fd.filename = shadow",
                           "fd.nameraw = '../../etc/shadow'",
                           "fd.typechar = f",
                           "fd.type = file",
                           "proc.exepath = /usr/bin/bash",
                           "proc.args = '-c cat /etc/shadow'",
                           "proc.args[1] = 'cat /etc/shadow'",
                           "proc.cmdline = 'bash -c cat /etc/shadow'",
                           "proc.exeline startswith '/bin/bash -c'",
                           "proc.cmdnargs = 2",
                           "proc.cmdlenargs = 17",
                           "proc.env[HOME] = /root",
                           "proc.env contains 'TERM=xterm'",
                           "proc.cwd = /tmp/",
                           "proc.pname = nginx",
                           "proc.pexepath = /usr/sbin/nginx",
                           "proc.pcmdline = nginx",
                           "proc.tty = 34816",
                           "proc.pid = 200 and proc.vpid = 20 and proc.ppid = 100",
                           "proc.is_sid_leader = true",
                           "proc.duration > 1000000000",
                           "proc.pid.ts = 5000",
                           "proc.ppid.duration exists",
                           "thread.cap_effective = 'CAP_DAC_OVERRIDE CAP_SYS_ADMIN'",
                           "thread.cap_permitted = ''",
                           "user.name = root",
                           "user.uid = 0",
                           "user.loginuid = -1",
                           "user.loginname = '<NA>'",
                           "group.name = '<NA>'",
                           "container.id = 0123456789ab",
                           "container.image.repository endswith nginx",
                           "container.mount.dest[/etc] = /e",
                           "container.mount.dest[/proc*] = /host/proc",
                           "container.mount.source[/e] = /etc",
                           "container.mount.dest[1] = /e",
                           "container.mounts = '/proc/1:/host/proc::false: /etc:/e::false:'"}) {
    EXPECT_TRUE(IsTrue(text, scene.event)) << text;
  }
  for (const char* text :
       {"container.name exists", "k8s.ns.name exists", "proc.env[PATH] exists", "proc.args[2] exists",
        "evt.arg[2] exists", "evt.arg.mode exists", "proc.sname exists", "evt.buffer exists",
        "container.mount.dest[/x] exists", "proc.vpgid exists", "fd.sip exists"}) {
    EXPECT_FALSE(IsTrue(text, scene.event)) << text;
  }
}

TEST(Fields, DatesFollowTheCalendar) {
  Scene scene;
  constexpr std::uint64_t kSecond = 1'000'000'000;
  for (const auto& [seconds, date] :
       std::initializer_list<std::pair<std::uint64_t, const char*>>{{0, "1970-01-01 00:00:00"},
                                                                    {86'399, "1970-01-01 23:59:59"},
                                                                    {31'535'999, "1970-12-31 23:59:59"},
                                                                    {68'169'600, "1972-02-29 00:00:00"},
                                                                    {68'256'000, "1972-03-01 00:00:00"},
                                                                    {951'782'400, "2000-02-29 00:00:00"},
                                                                    {978'220'800, "2000-12-31 00:00:00"},
                                                                    {978'307'200, "2001-01-01 00:00:00"},
                                                                    {1'709'164'800, "2024-02-29 00:00:00"},
                                                                    {4'107'542'400, "2100-03-01 00:00:00"},
                                                                    {18'446'744'073, "2554-07-21 23:34:33"}}) {
    scene.event.time_ns = seconds * kSecond;
    EXPECT_TRUE(IsTrue(fmt::format("evt.datetime.s = '{}'", date), scene.event)) << date;
  }
}

TEST(Fields, OfAFailedOpen) {
  Scene scene;
  scene.descriptor.is_open = false;
  scene.event.descriptor_number = -1;
  scene.event.result = -2;
  EXPECT_TRUE(
      IsTrue("fd.typechar='f' and fd.num=-1 and evt.res startswith E and evt.res = ENOENT and fd.name exists "
             "and fd.directory = /etc and evt.failed = true",
             scene.event));
  EXPECT_FALSE(IsTrue("fd.type exists or fd.filename exists", scene.event));
}

TEST(Fields, OfAProcessOnTheHost) {
  Scene scene;
  scene.event.container = &HostContainer();
  EXPECT_TRUE(IsTrue("container.id = host and container.name = host", scene.event));
  EXPECT_FALSE(IsTrue("container.image exists or container.privileged exists or k8s.pod.name exists", scene.event));
}

// It begins with the pid namespace of its processes, unless the event says when.
TEST(Fields, WhenTheContainerBegan) {
  Scene scene;
  scene.event.time_ns = 5'000'000'000;
  scene.shell.pid_namespace_start_ns = 2'000'000'000;
  EXPECT_TRUE(IsTrue("container.start_ts = 2000000000 and container.duration = 3000000000", scene.event));
  scene.container.start_ns = 4'000'000'000;
  EXPECT_TRUE(IsTrue("container.start_ts = 4000000000 and container.duration = 1000000000", scene.event));
  scene.event.container = &HostContainer();
  EXPECT_FALSE(IsTrue("container.start_ts exists or container.duration exists", scene.event));
}

TEST(Fields, OfBytes) {
  Scene scene;
  const std::string bytes(
      "\x7f"
      "ELF\x00\x01",
      6);
  scene.event.buffer = bytes;
  EXPECT_TRUE(
      IsTrue("evt.buffer bcontains 454c46 and evt.buffer bstartswith 7f45 and evt.buffer contains ELF and "
             "evt.buflen = 6 and not evt.buffer bstartswith 45",
             scene.event));
}

TEST(Fields, AreSortedAndEachIsThereOnce) {
  for (std::size_t i = 1; i < Fields().size(); ++i) EXPECT_LT(Fields()[i - 1].name, Fields()[i].name);
  for (const FieldInfo& field : Fields()) EXPECT_NE(field.extract, nullptr) << field.name;
}

TEST(EventTypes, AreThoseThatTheConditionLeaves) {
  const auto types = [](const char* text) { return EventTypesOf(*BoundOf(text)); };
  const auto set = [](std::initializer_list<const char*> names) {
    EventSet some;
    for (const char* name : names) some.set(*FindEventType(name));
    return some;
  };
  const EventSet all = AllEventTypes();
  EXPECT_EQ(types("evt.type = open"), set({"open"}));
  EXPECT_EQ(types("evt.type in (open, openat)"), set({"open", "openat"}));
  EXPECT_EQ(types("evt.type != open"), all & ~set({"open"}));
  EXPECT_EQ(types("not evt.type = open"), all & ~set({"open"}));
  EXPECT_EQ(types("not evt.type != open"), set({"open"}));
  EXPECT_EQ(types("proc.name = x"), all);
  EXPECT_EQ(types("not proc.name = x"), all);
  EXPECT_EQ(types("evt.type = open and proc.name = x"), set({"open"}));
  EXPECT_EQ(types("evt.type = open or proc.name = x"), all);
  EXPECT_EQ(types("evt.type = open or evt.type = dup"), set({"open", "dup"}));
  EXPECT_EQ(types("evt.type = open and evt.type = dup"), set({}));
  EXPECT_EQ(types("not (evt.type = open or proc.name = x)"), all & ~set({"open"}));
  EXPECT_EQ(types("not (evt.type = open and proc.name = x)"), all);
  EXPECT_EQ(types("not (not evt.type = open or proc.name = x)"), set({"open"}));
  EXPECT_EQ(types("not (evt.type != open or not evt.type in (open, dup))"), set({"open"}));
  EXPECT_EQ(types("evt.type exists"), all);
  EXPECT_EQ(types("evt.type startswith open"), all);
  EXPECT_EQ(types("evt.num = 0"), set({}));
  EXPECT_EQ(types("evt.num = 1"), all);
  EXPECT_EQ(types("evt.num >= 1"), all);
  EXPECT_EQ(types("evt.num < 1"), set({}));
  EXPECT_EQ(types("not evt.num > 0"), set({}));
  EXPECT_EQ(types("evt.num in (0)"), set({}));
  EXPECT_EQ(types("evt.type = open or (evt.num = 0 and evt.type = dup)"), set({"open"}));
  EXPECT_EQ(types("evt.type = open and not evt.num = 0"), set({"open"}));
}

TEST(EventTypes, HaveTheNamesThatRulesUse) {
  for (const char* name :
       {"open",   "openat",       "openat2",     "creat",        "stat",      "fstat",         "newfstatat", "execve",
        "umount", "umount2",      "sendfile",    "select",       "switch",    "signaldeliver", "procexit",   "dup3",
        "clone3", "memfd_create", "userfaultfd", "finit_module", "renameat2", "fchmodat",      "bpf",        "setns"}) {
    EXPECT_TRUE(FindEventType(name)) << name;
  }
  EXPECT_FALSE(FindEventType("opn"));
  EXPECT_EQ(NameOf(*FindEventType("openat")), "openat");
  EXPECT_EQ(NameOf(kMaxEventTypes), "");
}

TEST(Glob, MatchesAsFnmatch) {
  RandomText random(7);
  const char* const alphabet[] = {"a", "b",  "A", "*",    "?",     "[",           "]", "[a",   "!",   "^",
                                  "-", "\\", "/", "[!a]", "[a-c]", "[[:alpha:]]", ".", "[]a]", "[^b]"};
  const auto text = [&](std::size_t parts) {
    std::string made;
    for (std::size_t i = random.Below(parts); i > 0; --i) made += alphabet[random.Below(std::size(alphabet))];
    return made;
  };
  std::size_t matches = 0;
  for (int i = 0; i < 300'000; ++i) {
    const std::string pattern = text(7), name = text(5);
    for (const int flags : {0, FNM_CASEFOLD}) {
      const bool expected = fnmatch(pattern.c_str(), name.c_str(), flags) == 0;
      ASSERT_EQ(MatchesGlob(pattern, name, flags != 0), expected) << pattern << " on " << name << " flags " << flags;
      matches += expected ? 1 : 0;
    }
  }
  EXPECT_GT(matches, 5'000U);
}

TEST(Glob, IsNotSlowOnManyStars) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(MatchesGlob(pattern + "b", std::string(4'000, 'a')));
}

TEST(Texts, Base64) {
  const auto decoded = [](const char* text) {
    std::string bytes;
    return DecodeBase64(text, bytes) ? bytes : "not base64";
  };
  EXPECT_EQ(decoded("aGVsbG8="), "hello");
  EXPECT_EQ(decoded("aGVsbG8"), "hello");
  EXPECT_EQ(decoded("aGVsbG8h"), "hello!");
  EXPECT_EQ(decoded(""), "");
  EXPECT_EQ(decoded("a"), "not base64");
  EXPECT_EQ(decoded("aG=sbG8"), "not base64");
  EXPECT_EQ(decoded("aGVs bG8"), "not base64");
}

TEST(Texts, RegexSeesBadBytesAsOneCharacter) {
  Scene scene;
  scene.shell.name = "b\xffsh";
  EXPECT_TRUE(IsTrue("proc.name regex 'b.sh'", scene.event));
}

}  // namespace
}  // namespace sluice::policy::rules
