program main;

uses
  sysutils;

begin
  writeln(6 * 7, ' ', FileExists('main.pas'));
end.
