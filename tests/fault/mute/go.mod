module wonder.mesh/mute

go 1.26
