// A grid's groups of codes are numbers, whose digits the codes are, the first the lowest one. They ascend from 0, and
// so a grid is the distances between them, each a character: '#' is 1. '~' adds 91 to the one that follows. All else
// that these texts have is line breaks.
#include "jit/formats/grids.h"

#include <string_view>

namespace llamajit::jit {
namespace {

template <typename Entry, std::size_t Size>
constexpr std::array<Entry, Size> grid(unsigned base, std::string_view distances) {
  constexpr unsigned kMost = 91;
  std::array<Entry, Size> entries{};
  unsigned number = 0;
  std::size_t n = 1;
  for (const char c : distances) {
    if (c <= '"') continue;
    if (c == '~') {
      number += kMost;
      continue;
    }
    number += static_cast<unsigned>(c - '"');
    unsigned digits = number;
    Entry entry = 0;
    for (unsigned at = 0; digits > 0; at += 8, digits /= base) entry |= Entry{digits % base} << at;
    entries.at(n++) = entry;
  }
  return entries;
}

constexpr std::string_view kIq2XxsDistances = R"(
$$$$$$($&$$$((&$($(.*$(&0@..$4F<$(,$($&.,$(.($&.06$,:$4@4(&$(.&$($8::Z,h$(,*4.(&0(.4*,R,T(.&.6LBD0f$
(4><&fPN$(82*$T*R$r$(40J>6~':.R~EV$((&$((*&,$(44>*&:*:*,@(.F28,^t$(4&TL&,ZB4(&($F(:<Phr$:lHL,(B^^p(4
:@JZ@F&x$P~M~~B$(6>>..bj$(&04FBD864Htzl(.(P8J\T6,z~{N~YD8@l~'~~tR
)";

constexpr std::string_view kIq2XsDistances = R"(
$$$$$$$$$$$$&$$$$$$$&$($$$&$&$,$$$$$$$$$$($$$&$((&$(4$$$&$(,$(&0*6$$$$$$$&$($$$&$$&,$(4$$$&$(,$(,*>$
(0&$>:$$$$$$(&($((.4*$$(4>(64(N&,$$$$$$$&$($$$&$(*$$(4$$$&$(,$(4.$0$$&44F$$$&$(,$&$.(>$(4X.8R$($2.68
&PfL$$$$$$$(,$(44,$(4(2B6D:&$(2$X>,B.2^&($,860\.:.H&$6$$$$$$$&$($$$$$$(&($(4$$$&$(,$(4&2*$($0$X$$$&$
&$,$(4.2$(.(N,*8(P$(4&**D,6(2Bp$$$&$((&$(4>$(&0$V@T$$(,*4,4*(R(JB8*.2*D>,$~5:$(4.*.6$~-0@20n4&NzVTbD
*D$$$&$(*$$(4$8$$$$&4,(H4F$2(&$($$0426@P6H>(28,$8*~'D(*,&$(402:6>l66&<((bH$N|JH^BF$&$,*PP(D&$&6>4FJ~
W66,$&R((X$P$H2
)";

constexpr std::string_view kIq2SDistances = R"(
$$$$$$$$$$$$&$$$$$$$&$$$$$$$&$(&&$$$$$$$$&$($$$&$$$$&$&$($$($($$$&$(*$$$$$&0&&&**$$$$$$$&$$$$$$$$$$$
$$$$($$$$&$&$($$$$$$$$$&$&$$$$$$$&$($$$&$(,$$$$&0&$&$(,$(4$$$&$$$$&&$$$$$$$$&$(&*0$$($$$&*&$&$(,*4,$
*&$,D.$$$$$$$&$$&$$$&$$$$$$$&$$&&$&$($$$$$$$$$$$$&$$$$$$$&$($$$&$2$&$&($(&($2$(4$$$&$$$$&$&$$$$$$$&$
($$$&$(,$$$$$$$&$($$$&$(,$(4&$&$(,$(4<$$$$$&$&*$$$&$(,$:$$$&$(,$(28,(40J$$$&$$$$&&$$($$*(*&0$$($$(*$
$($(,$(4*.&$&(:$2&$$$$&$&$($$$&$(,$(4&$&$(,$(0&>$(42H&($2$(<4$$(\8.>.$6$$$$$$$$$$$&$$$$$$$$$$$($(&$&
$($$$&$$$$$$($$$$$$$&$($$$&$(,$($$$((&$&$(,$:$$$$$$$$$$$$&$$$$$$$&$($$$&$(,$$$$$$$&$($$$&$(*$$(4$$$&
$(,$(48($&$$$$&$($$$&$(.(4$$$&$(,$(400$(4X$$$&$$$$$$$&$$$$$$$&$($$$&$2$$$$$$$&$($$$&$(,$(4&$&$(,$(2$
>$$$$$$$&$($$$&$(,$(4$$$&$(,$(4>$(0&X$$$&$(,$(*,>$(4X2L6&$$&$$$&$(&$&$(.(4$$$&$(,$(420(40B*&$&$(,$(4
>$(4*202d2$(J6.<vN*$$$&$&$&($($$$&*&($2$&$$$$&$($$$&$2$(2$&&$$2$(P$$$$$$$&*$$$&$(,$(4$$$&$(,$(4*6$(2
$X&($2$(H*$:8V8$.4*$&$$$$(($$$&$(,$(4&($2$(*H$(4T&$$$&$(,$(400$(4L&*B2D$(0&V$D&~14&&&*($$(H(>8D(.&$@
&$2&$(4D0(2~-V2TP6>$,$&F6
)";

constexpr std::string_view kIq3XxsDistances = R"(
$$'$&#$)+;$&$'$)&%$)-.*$$')$)$&,(0&(#$-E56'-.$&(52U96&$702$'$)$'$$-#:$))$Q$'$))D($0+/2-&EJ&45.o0B$)$
'$&%+A$$%$))=&#*$)(#$/#/6)&N&C0:6,=g$-9>)$)$7/'($0+-$=$'/7214_15((.=A47J76-0$.&o61#2(3@AG-C07o%$0T99
*(29A0B*K?-&E*9qN0T2$0?B@GF(hCGSJ0T$$#42N,L='8/07C2A$4f
)";

constexpr std::string_view kIq3SDistances = R"(
##%$###$$$#&('$%$$$'$)%%###$&#&%%&$&)/&'(#&$#%%%&%&(%$$$/%*(&%$)$%(&$/$&%-&$%((%(1,$.$&'(&$1'-%$031)
$$.$&'/&6##$&#$$$#$)%$0$%+(#$%$&')%()$0($,%$#&((%,%,)%%#%((#&'3(-$'$/$)&$&7)%()$1I&%/$=$'$).&3(*#$$$
#$$$%$&#$)$$%$/#%$%$(%&%%&%():%%,$')$,&,%&$%&+$'$)(0-(+%)%&;%)'+/#-/*$',>&6&/$-'<)$$$%)$$'$%$,(*$$)'
$/2,&$,(,$.;)&'$&#+$&(0*('&)3(&/)$-',,/55B$/$-E&((&%%))2,'$$)('((&6$''&,'1%(.'$'$)&E$4-#;.$,C;36:'--
(;(&(0&%%.('$$')+B(+,'(/9'#1/'.((%.,.F.5$YB$0Y$$.$722)?84(-'(*.'1W010%;67=K$W&%+$.$.(2)-1$>%&(%)3;:%
08&(':L2B9I
)";

}  // namespace

constexpr std::array<std::uint64_t, 256> kIq2XxsGrid = grid<std::uint64_t, 256>(3, kIq2XxsDistances);
constexpr std::array<std::uint64_t, 512> kIq2XsGrid = grid<std::uint64_t, 512>(3, kIq2XsDistances);
constexpr std::array<std::uint64_t, 1024> kIq2SGrid = grid<std::uint64_t, 1024>(3, kIq2SDistances);
constexpr std::array<std::uint32_t, 256> kIq3XxsGrid = grid<std::uint32_t, 256>(8, kIq3XxsDistances);
constexpr std::array<std::uint32_t, 512> kIq3SGrid = grid<std::uint32_t, 512>(8, kIq3SDistances);

}  // namespace llamajit::jit
